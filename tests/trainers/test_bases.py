"""What stages start from where it is no folder (a GGUF file, an adapter), and how candidates end texts."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

from harness.engine.opening import open_engine
from harness.errors import ModelError
from harness.records.models import Local, Model, Stage
from tests.tiny_models import BOS, EOS, TURN_END, TURN_START, tiny_adapter, tiny_gguf, tiny_llama
from tests.trainers.world import pipeline, stage, write_rows
from trainers.job import Job
from trainers.pipeline import produce
from trainers.planning import PlanContext, plan
from trainers.stage_settings import STAGE_SETTINGS
from trainers.stages import run
from trainers.tokens import load_tokenizer

PAIRS = [("The capital of France", " is Paris."), ("Use lowercase", " only.")]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base without BOS, not to be changed."""
    return tiny_llama(tmp_path_factory.mktemp("model") / "checkpoint", bos=False)


def _trained(root: Path, source: Local) -> Path:
    """The candidate of one SFT stage on this base."""
    write_rows(root / "rows.jsonl", [{"prompt": "Name a tool.", "completion": "a saw"}] * 4)
    learning = stage("sft", str(root / "rows.jsonl"), epochs=1, learning_rate=1e-3, batch_size=2)
    models = {"base": Model(name="base", source=source)}
    return produce(context(root, learning, models), "tuned")


def context(root: Path, learning: Stage, models: Mapping[str, Model]) -> PlanContext:
    """A project of one pipeline, `tuned`, on one of these models."""
    pipelines = {"tuned": pipeline("tuned", "base", learning)}
    return PlanContext(pipelines=pipelines, models=models, output=root / "out", seed=0, root=root)


def _logprobs(**source: str) -> list[float]:
    engine = open_engine(Model(name="m", source=Local(**source)), device="cpu")  # type: ignore[arg-type]  # texts
    found = dict(engine.loglikelihood(PAIRS))
    return [found[place].logprob for place in range(len(PAIRS))]


def test_a_stage_starts_from_a_gguf_file(llama: Path, tmp_path: Path) -> None:
    """Its weights are unpacked once; the candidate is an ordinary folder that stops where the file does."""
    file = tiny_gguf(tmp_path / "tiny.gguf", llama)

    candidate = _trained(tmp_path, Local(path=str(file)))

    [base] = (tmp_path / "out/bases").glob("*[!k]")
    assert _logprobs(path=str(file)) == pytest.approx(_logprobs(path=str(base)), abs=1e-5)
    assert _logprobs(path=str(candidate)) != pytest.approx(_logprobs(path=str(file)), abs=1e-5)
    stated = json.loads((candidate / "generation_config.json").read_text())["eos_token_id"]
    tokenizer = AutoTokenizer.from_pretrained(candidate)
    assert TURN_END == tokenizer.eos_token
    assert tokenizer.eos_token_id == json.loads((candidate / "config.json").read_text())["eos_token_id"]
    assert tokenizer.eos_token_id in stated
    for name in ("config.json", "generation_config.json"):
        assert "quantization" not in (candidate / name).read_text()


def test_a_stage_starts_from_a_base_with_an_adapter(llama: Path, tmp_path: Path) -> None:
    """The adapter is merged into it, and its own tokenizer and template are what the candidate gets."""
    adapter = tiny_adapter(tmp_path / "adapter", llama)
    tokenizer = AutoTokenizer.from_pretrained(llama)
    tokenizer.chat_template = tokenizer.chat_template.replace("user", "person")
    tokenizer.add_special_tokens({"additional_special_tokens": [TURN_START, TURN_END, "<tool>"]})
    tokenizer.save_pretrained(adapter)

    candidate = _trained(tmp_path, Local(path=str(llama), adapter=str(adapter)))

    [base] = (tmp_path / "out/bases").glob("*[!k]")
    assert _logprobs(path=str(llama), adapter=str(adapter)) == pytest.approx(
        _logprobs(path=str(base)), abs=1e-4
    )
    written = AutoTokenizer.from_pretrained(candidate)
    assert written.chat_template == tokenizer.chat_template
    assert 1 == len(written("<tool>")["input_ids"])


def test_what_is_trained_needs_its_base_no_more(llama: Path, tmp_path: Path) -> None:
    """A plan writes nothing, and a finished stage is found without the base being written again."""
    file = tiny_gguf(tmp_path / "tiny.gguf", llama)
    write_rows(tmp_path / "rows.jsonl", [{"prompt": "Name a tool.", "completion": "a saw"}])
    learning = stage("sft", str(tmp_path / "rows.jsonl"))
    models = {"base": Model(name="base", source=Local(path=str(file)))}

    [planned] = plan(context(tmp_path, learning, models), "tuned")

    assert planned.parent is not None
    assert planned.parent.written_from == models["base"]
    assert not (tmp_path / "out").exists()


def test_a_reward_model_is_no_gguf_file(llama: Path, tmp_path: Path) -> None:
    """Nor a base with an adapter: what to do instead is said."""
    file = tiny_gguf(tmp_path / "tiny.gguf", llama)
    write_rows(tmp_path / "rows.jsonl", [{"prompt": "Name a tool."}])
    learning = stage("grpo", str(tmp_path / "rows.jsonl"), reward="judge")
    models = {
        "base": Model(name="base", source=Local(path=str(llama))),
        "judge": Model(name="judge", source=Local(path=str(file))),
    }

    with pytest.raises(ModelError, match="a reward model is read from a folder of its own"):
        plan(context(tmp_path, learning, models), "tuned")


def test_a_candidate_ends_texts_where_its_base_is_asked_to(llama: Path, tmp_path: Path) -> None:
    """A tokenizer that names another end than configuration and template: the candidate's names theirs."""
    base = tiny_llama(tmp_path / "base", bos=False)
    tokenizer = AutoTokenizer.from_pretrained(base)
    end = tokenizer.convert_tokens_to_ids(TURN_END)
    for name in ("config.json", "generation_config.json"):
        stated = json.loads((base / name).read_text())
        (base / name).write_text(json.dumps({**stated, "eos_token_id": end}))

    candidate = _trained(tmp_path, Local(path=str(base)))

    assert EOS == tokenizer.eos_token
    assert TURN_END == AutoTokenizer.from_pretrained(candidate).eos_token
    assert end == json.loads((candidate / "config.json").read_text())["eos_token_id"]
    assert end in json.loads((candidate / "generation_config.json").read_text())["eos_token_id"]


def test_trainers_put_nothing_behind_a_text(tmp_path: Path) -> None:
    """Nor does the candidate's tokenizer: TRL encodes prompts itself, and other tools read the candidate."""
    base = tiny_llama(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (BOS, EOS)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A {EOS}", pair=f"{BOS} $A $B {EOS}", special_tokens=special
    )
    tokenizer.save_pretrained(base)
    expected = AutoTokenizer.from_pretrained(base)("a saw")["input_ids"][:-1]

    loaded = load_tokenizer(str(base), None, needs_template=False)
    loaded.save_pretrained(tmp_path / "candidate")

    assert expected == loaded("a saw")["input_ids"]
    assert expected == AutoTokenizer.from_pretrained(tmp_path / "candidate")("a saw")["input_ids"]


def test_a_stage_reads_no_clock(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever renders turns within a stage, TRL included, reads the fixed date; and nothing after it."""
    clock = chat_template_utils.datetime  # type: ignore[attr-defined]  # patched here
    monkeypatch.setattr(
        "trainers.sft.run",
        lambda job: {"now": chat_template_utils.datetime.now().isoformat()},  # type: ignore[attr-defined]  # patched here
    )
    job = Job(
        kind="sft",
        folder=tmp_path,
        base=str(llama),
        chat_template=None,
        data="rows",
        rows=[],
        rewards=(),
        settings=STAGE_SETTINGS["sft"].model_validate({}),
        seed=0,
        is_main=False,  # which would measure a candidate
    )

    assert {"now": "2024-07-26T00:00:00"} == run(job)
    assert chat_template_utils.datetime is clock  # type: ignore[attr-defined]  # patched here


def test_a_base_that_torch_refuses_is_named(llama: Path, tmp_path: Path) -> None:
    """Pickled weights with anything but tensors in them end a stage with one message."""
    base = Path(shutil.copytree(llama, tmp_path / "base"))
    (base / "model.safetensors").unlink()
    torch.save({"a": Path("code")}, base / "pytorch_model.bin")

    with pytest.raises(ModelError, match=r"pytorch_model\.bin: torch opens a pickle only of tensors"):
        _trained(tmp_path, Local(path=str(base)))

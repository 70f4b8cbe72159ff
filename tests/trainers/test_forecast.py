"""A plan says what would be trained, what is reused, why, and about how much it is."""

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, BertModel

from harness.errors import ModelError
from harness.records.models import Local, Model, Stage
from tests.tiny_models import tiny_gguf, tiny_llama
from tests.trainers.encoders import WORDS, tiny_encoder
from tests.trainers.test_stages import CASE, DPO, GRPO
from tests.trainers.test_tokens import TRAILING
from tests.trainers.world import THINGS, TINY, World, pipeline, stage, write_rows
from trainers.bases import write_base
from trainers.disk_needs import bytes_within, disk_needs
from trainers.forecast import StageForecast, forecast
from trainers.job import StageProgress
from trainers.machine import machine
from trainers.pipeline import produce
from trainers.planning import StageOrigin, plan
from trainers.settings import Adapter
from trainers.sizes import model_size
from trainers.stage_settings import Sft


def reported(world: World, *names: str, **added: object) -> dict[str, StageForecast]:
    """The forecast for these pipelines of the world, by kind of stage."""
    plans = {name: world.plan(name, added.get(name)) for name in names}  # type: ignore[arg-type]
    return {line.kind: line for line in forecast(plans, world.output)}


def test_what_is_there_is_reused_and_the_rest_is_new(world: World) -> None:
    """Stages that two pipelines share stand once, with both."""
    grpo = pipeline(
        "planned", "sft", stage("grpo", "prompts.jsonl", CASE, **{**GRPO, "steps": 3, "beta": 0.2})
    )
    lines = reported(world, "sft", "planned", planned=grpo)

    assert [("pretrain", True), ("sft", True), ("grpo", False)] == [
        (line.kind, line.done) for line in lines.values()
    ]
    assert ("sft", "planned") == lines["sft"].needed_by
    assert ("trained already", "new") == (lines["sft"].why, lines["grpo"].why)


def test_a_changed_setting_is_named_with_both_values(world: World) -> None:
    """Why a stage is trained anew is what differs from the one that its pipeline's name stands for."""
    world.produce("replanned", pipeline("replanned", "base", stage("sft", "sft.jsonl", epochs=1)))
    changed = pipeline("replanned", "base", stage("sft", "pairs_as_sft.jsonl", epochs=3))
    (world.root / "pairs_as_sft.jsonl").write_text('{"prompt": "Name a cat", "completion": "cat"}\n')
    line = reported(world, "replanned", replanned=changed)["sft"]

    assert "changed since it was trained: epochs 1 → 3, its data" == line.why


def test_an_interrupted_stage_goes_on(world: World) -> None:
    """Its unfinished folder is there."""
    waiting = pipeline("waiting", "base", stage("sft", "sft.jsonl", epochs=2, learning_rate=3e-4))
    [*_, planned] = world.plan("waiting", waiting)
    planned.partial.mkdir()

    assert reported(world, "waiting", waiting=waiting)["sft"].why.startswith("interrupted")


def test_steps_are_those_that_training_takes(world: World) -> None:
    """48 rows in batches of 16, for 2 epochs; the manifest counts the same."""
    [*_, planned] = world.plan("sft")

    assert 6 == reported(world, "sft")["sft"].steps == planned.manifest["metrics"]["steps"]


LONG = [
    {"prompt": [{"role": "system", "content": "Shout."}, {"role": "user", "content": f"Name {thing}"}]}
    | {"completion": thing, "chosen": f"{thing} {thing}", "rejected": thing * (30 if number % 4 else 1)}
    for number, thing in enumerate(THINGS * 3)
]
"""System prompts, and answers of which some do not fit."""


@pytest.mark.parametrize(
    "asked",
    [
        stage("sft", "sft.jsonl", epochs=2),
        stage("sft", "long.jsonl", epochs=2, max_length=40),
        stage("sft", "sft.jsonl", chat_template=False),
        stage("sft", "sft.jsonl", select={"by": "loss", "holdout": 0.25}),
        stage("reward", "pairs.jsonl", epochs=2),
        stage("reward", "long.jsonl", max_length=60, holdout=0.25),
        stage("dpo", "pairs.jsonl", epochs=2),
        stage("dpo", "long.jsonl", max_length=60),
        stage("dpo", "pairs.jsonl", batch_size=20, epochs=2),
        stage("dpo", "pairs.jsonl", chat_template=False),
    ],
)
def test_tokens_are_those_that_training_reads(world: World, asked: Stage) -> None:
    """With the chat template, both conversations of a pair, and without rows held out or left out."""
    write_rows(world.root / "long.jsonl", LONG)
    before, after = before_and_after(world, "sft", asked)

    assert ("counted", "measured") == (before.tokens_basis, after.tokens_basis)
    assert before.tokens == after.tokens > 0
    assert before.steps == after.steps


@pytest.mark.parametrize(
    "asked",
    [stage("sft", "sft.jsonl", epochs=1), stage("reward", "pairs.jsonl"), stage("dpo", "pairs.jsonl")],
)
def test_what_follows_an_end_counts_where_it_is_read(world: World, asked: Stage) -> None:
    """ChatML has a line break there: DPO and reward models read it, and SFT does not."""
    source = Local(path=str(world.produce("sft")))
    models = {"trailing": Model(name="trailing", source=source, chat_template=TRAILING)}
    before, after = before_and_after(world, "trailing", asked, models=models)

    assert before.tokens == after.tokens


@pytest.mark.parametrize("length", [{"steps": 4}, {"epochs": 0.5}, {"epochs": 2.5, "batch_size": 10}])
def test_parts_of_epochs_are_about_as_many(world: World, length: dict[str, Any]) -> None:
    """Which rows come into a part of an epoch is drawn; how many are is known."""
    before, after = before_and_after(world, "sft", stage("sft", "sft.jsonl", **length))

    assert before.steps == after.steps
    assert after.tokens == pytest.approx(before.tokens, rel=0.05)


def before_and_after(
    world: World, base: str, asked: Stage, **others: Any
) -> tuple[StageForecast, StageForecast]:
    """What is said of a stage that starts from this pipeline, and what was."""
    context = world.context(pipeline("asked", base, asked), **others)

    def last() -> StageForecast:
        return forecast({"asked": plan(context, "asked")}, context.output)[-1]

    before = last()
    produce(context, "asked")
    return before, last()


def copied(world: World, folder: Path) -> Path:
    """The world's output folder, of which a test may change the manifests."""
    return shutil.copytree(world.output, folder / "candidates", symlinks=True)


@pytest.mark.parametrize("kind", ["grpo", "rloo", "own"])
def test_answers_will_be_as_long_as_before(world: World, tmp_path: Path, kind: str) -> None:
    """At most as long as they may be; once a stage like it was trained, as long as its answers were."""

    def asked(**changed: Any) -> Stage:
        if kind == "own":
            return stage("dpo", "prompts.jsonl", CASE, on_policy=4, **{**DPO, **changed})
        return stage(kind, "prompts.jsonl", CASE, **{**GRPO, "steps": 4, **changed})

    def last(asked: Stage) -> StageForecast:
        plan = {"asked": world.plan("asked", pipeline("asked", "sft", asked), output=output)}
        return forecast(plan, output)[-1]

    output = copied(world, tmp_path)
    for file in output.glob(f"stages/{asked().kind}-*/manifest.json"):
        shutil.rmtree(file.parent)
    first, first_was = before_and_after(world, "sft", asked(), output=output)
    second, second_was = before_and_after(world, "sft", asked(learning_rate=4e-4), output=output)

    assert ("at most", "as before") == (first.tokens_basis, second.tokens_basis)
    assert first.tokens >= first_was.tokens
    assert second_was.tokens == pytest.approx(second.tokens, rel=0.05)
    assert "at most" == last(asked(max_new_tokens=16)).tokens_basis  # answers were not allowed that long


def test_tokens_are_counted_before_the_parent_is_trained(world: World) -> None:
    """With the tokenizer that it will have; where there is none yet they are guessed."""
    fresh = pipeline("fresh", "base", stage("sft", "sft.jsonl", epochs=1, learning_rate=1.1e-4))
    asked = pipeline("asked", "fresh", stage("dpo", "pairs.jsonl"))
    trained = {"asked": world.plan("asked", pipeline("asked", "sft", stage("dpo", "pairs.jsonl")))}
    waiting = {"asked": plan(world.context(fresh, asked), "asked")}
    [*_, without] = forecast({"asked": plan(world.context(asked, fresh, seed=9), "asked")}, world.output)
    [*_, counted] = forecast(waiting, world.output)

    assert forecast(trained, world.output)[-1].tokens == counted.tokens
    assert ("counted", "guessed") == (counted.tokens_basis, without.tokens_basis)
    assert (None, None, None) == (without.disk, without.disk_peak, without.seconds)


BIG = {**TINY, "layers": 2, "width": 96, "heads": 4, "intermediate": 256}
"""A base beside which what else lies in a stage's folder is small."""


@pytest.mark.parametrize(
    "asked",
    [
        stage("sft", "sft.jsonl", epochs=2),
        stage("sft", "sft.jsonl", epochs=2, adapter={"rank": 8}),
        stage("sft", "sft.jsonl", epochs=1, adapter={"rank": 4, "targets": ["q_proj", "down_proj"]}),
        stage("reward", "pairs.jsonl"),
        stage("grpo", "prompts.jsonl", CASE, **{**GRPO, "steps": 3, "checkpoint_steps": 2}),
        stage("rloo", "prompts.jsonl", CASE, **GRPO),
        stage("dpo", "pairs.jsonl"),
        stage("dpo", "pairs.jsonl", epochs=2, save_every=2),
        stage("dpo", "pairs.jsonl", epochs=2, batch_size=8, save_every="0.001 s"),
        stage("dpo", "prompts.jsonl", CASE, on_policy=2, **DPO),
    ],
)
def test_disk_is_what_is_kept(world: World, asked: Stage) -> None:
    """Candidate and checkpoints; the optimiser's state is there only meanwhile."""
    big = pipeline("big", None, stage("pretrain", "text.jsonl", epochs=1, **BIG))
    world.produce("big", big)
    context = world.context(big, pipeline("asked", "big", asked))
    most: list[int] = []

    def watched(progress: StageProgress) -> None:
        [planned] = plan(context, "asked")[-1:]
        most.append(bytes_within(planned.partial))

    [*_, before] = forecast({"asked": plan(context, "asked")}, context.output)
    produce(context, "asked", on_progress=watched)
    [*_, after] = forecast({"asked": plan(context, "asked")}, context.output)

    assert after.disk == pytest.approx(before.disk, rel=0.1)
    assert before.disk_peak >= before.disk
    assert max(most) < 1.1 * before.disk_peak


def test_disk_of_a_classifier_from_an_encoder(world: World) -> None:
    """Weights in float32 twice, as a candidate and as Detoxify reads them, and its checkpoints."""
    folder = world.root / "encoder"
    tiny_encoder("bert", folder)
    wide = BertConfig(vocab_size=len(WORDS), hidden_size=256, num_attention_heads=4, intermediate_size=1024)
    BertModel(wide).bfloat16().save_pretrained(folder)  # type: ignore[no-untyped-call]  # not annotated there
    context = world.context(
        pipeline("asked", "encoder", stage("toxicity", "toxic.jsonl", epochs=2, learning_rate=1e-3)),
        models={"encoder": Model(name="encoder", source=Local(path=str(folder)))},
    )

    [before] = forecast({"asked": plan(context, "asked")}, context.output)
    produce(context, "asked")
    [after] = forecast({"asked": plan(context, "asked")}, context.output)

    assert after.disk == pytest.approx(before.disk, rel=0.02)


def test_bfloat16_candidates_take_half(world: World, tmp_path: Path) -> None:
    """A candidate has its base's number format; checkpoints are in float32."""
    folder = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(world.produce("sft"), dtype="bfloat16").save_pretrained(folder)
    AutoTokenizer.from_pretrained(world.produce("sft")).save_pretrained(folder)
    size = model_size(StageOrigin(folder=folder, identity=""))
    disk, _ = disk_needs("sft", Sft(epochs=1), size, 16, is_long=False)

    assert size.parameters * (2 + 4) + 2 * size.other_files == disk


def test_a_gguf_file_has_the_size_of_its_folder(tmp_path: Path) -> None:
    """Before and after it is unpacked."""
    file = tiny_gguf(tmp_path / "tiny.gguf", tiny_llama(tmp_path / "m", bos=False))
    model = Model(name="tiny", source=Local(path=str(file)))
    origin = StageOrigin(folder=tmp_path / "bases/tiny", identity="", written_from=model)
    before = model_size(origin)
    write_base(origin)
    after = model_size(origin)

    assert (before.parameters, before.dtype) == (after.parameters, after.dtype)
    assert before.adapter(Adapter(rank=2)) == after.adapter(Adapter(rank=2)) > 0


# ---------------------------------------------------------------- time


def test_time_is_that_of_stages_like_it(world: World, tmp_path: Path) -> None:
    """The loop at their pace, and what else they took: on this machine, a base of this size, in this way."""
    output = copied(world, tmp_path)
    [*_, planned] = world.plan("sft", output=output)
    for file in output.glob("stages/sft-*/manifest.json"):
        if file.parent != planned.folder:
            shutil.rmtree(file.parent)
    content = dict(planned.manifest)
    content |= {"metrics": content["metrics"] | {"pace": {"tokens": 1000, "seconds": 10.0}}, "seconds": 14.0}

    def seconds(processes: int = 1, earlier: Mapping[str, Any] = content, **changed: Any) -> float | None:
        (planned.folder / "manifest.json").write_text(json.dumps(earlier))
        asked = pipeline("asked", "base", stage("sft", "sft.jsonl", **{"epochs": 4, **changed}))
        plans = {"asked": world.plan("asked", asked, output=output)}
        return forecast(plans, output, processes)[-1].seconds

    assert seconds() == pytest.approx(4.0 + 2 * content["metrics"]["tokens"] / 100, abs=0.1)
    assert seconds(processes=2) is None
    assert seconds(adapter={"rank": 4}) is None
    assert seconds(earlier={**content, "base_parameters": 2 * content["base_parameters"]}) is None
    assert seconds(earlier={**content, "machine": "another"}) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"finished": "2026', b"\xff"])
def test_a_damaged_record_of_a_stage(world: World, tmp_path: Path, content: bytes) -> None:
    """Plans of other stages go without it; where it is asked for, it is named, with what to do."""
    output = copied(world, tmp_path)
    [*_, damaged] = world.plan("sft", output=output)
    (damaged.folder / "manifest.json").write_bytes(content)
    asked = pipeline("asked", "base", stage("sft", "sft.jsonl", epochs=4))
    assert forecast({"asked": world.plan("asked", asked, output=output)}, output)[-1].rows

    with pytest.raises(ModelError, match=r"manifest\.json is no whole record .* delete its folder"):
        forecast({"sft": world.plan("sft", output=output)}, output)


def test_a_resumed_stage_says_that_its_time_is_the_last_runs(world: World, tmp_path: Path) -> None:
    """It was interrupted after the first of two epochs: its tokens are all, its seconds are not."""

    def interrupt(progress: StageProgress) -> None:
        if progress.step == 4:
            raise KeyboardInterrupt

    asked = pipeline("asked", "sft", stage("sft", "sft.jsonl", epochs=2, learning_rate=1.3e-4))
    with pytest.raises(KeyboardInterrupt):
        world.produce("asked", asked, on_progress=interrupt)
    [*_, before] = forecast({"asked": world.plan("asked", asked)}, world.output)
    world.produce("asked", asked)
    [*_, after] = forecast({"asked": world.plan("asked", asked)}, world.output)

    assert (before.tokens, "measured") == (after.tokens, after.tokens_basis)
    assert "last run" == after.seconds_basis


def test_a_stage_of_before_tokens_were_counted_is_counted_now(world: World, tmp_path: Path) -> None:
    """Its manifest has no pace."""
    output = copied(world, tmp_path)
    plans = {"sft": world.plan("sft", output=output)}
    file = plans["sft"][-1].folder / "manifest.json"
    content = json.loads(file.read_text())
    tokens = content["metrics"].pop("tokens")
    del content["metrics"]["pace"], content["machine"]
    file.write_text(json.dumps(content))
    [*_, line] = forecast(plans, output)

    assert (tokens, "counted", "measured") == (line.tokens, line.tokens_basis, line.seconds_basis)


def test_a_machine_is_described_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests are published; threads count, for they decide how fast it is."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    described = machine.__wrapped__()

    assert "3 threads" in described
    assert platform.node() not in described


def test_a_forecast_loads_no_model_library(world: World) -> None:
    """Also where it counts tokens."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from harness.records.models import Pipeline, Stage\n"
        "from trainers.forecast import forecast\n"
        "from trainers.planning import PlanContext, plan\n"
        f"root = Path({str(world.root)!r})\n"
        f"base = Pipeline(name='base', base=None, stages=({world.pipelines['base'].stages[0]!r},))\n"
        "stage = Stage(kind='dpo', data=('pairs.jsonl',), reward=None, settings={})\n"
        "asked = Pipeline(name='asked', base='base', stages=(stage,))\n"
        "context = PlanContext(pipelines={'base': base, 'asked': asked}, models={}, seed=0, root=root,\n"
        "    output=root / 'candidates')\n"
        "[*_, line] = forecast({'asked': plan(context, 'asked')}, context.output)\n"
        "print(line.tokens_basis, {'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "counted set()" == done.stdout.strip()

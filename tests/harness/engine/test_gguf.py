"""GGUF files: what is read of them before they are loaded; they answer as what they are made from."""

import os
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, quantize

from harness.engine.gguf import read_header
from harness.engine.identity import LocalIdentity, identify
from harness.engine.local.engine import LocalEngine, open_local
from harness.engine.opening import check_model, is_reward_model
from harness.errors import DownloadNeeded, ModelError, UsageError
from harness.records.answers import Message, Prompt, SamplingParameters
from harness.records.models import Local, Model
from tests.tiny_models import CHAT_TEMPLATE, TURN_END, tiny_gguf, tiny_llama

TURN = (Message(role="user", content="Name a tool."),)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as an ordinary folder, not to be changed."""
    return tiny_llama(tmp_path_factory.mktemp("model") / "checkpoint", bos=False)


@pytest.fixture(scope="module")
def file(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as one file, not to be changed."""
    return tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", llama)


def _model(path: Path | str, **source: str) -> Model:
    return Model(name="m", source=Local(path=str(path), **source))  # type: ignore[arg-type]  # keywords of mixed types


def _identify(path: Path | str, **source: str) -> LocalIdentity:
    return identify(_model(path, **source))


def _open(path: Path) -> LocalEngine:
    source = Local(path=str(path))
    return open_local(Model(name="m", source=source), source, device="cpu")


def test_a_file_answers_as_the_folder_that_it_was_made_from(llama: Path, file: Path) -> None:
    """Log-likelihoods and texts are equal, and nothing tells transformers that it was ever quantised."""
    pairs = [("The capital of France", " is Paris.")]
    prompts = [Prompt(content="Name a tool."), Prompt(content="The quick brown")]
    folder, single = _open(llama), _open(file)

    expected, found = dict(folder.loglikelihood(pairs)), dict(single.loglikelihood(pairs))
    texts = [
        {index: answer.text for index, answer in engine.generate(prompts, SamplingParameters(max_tokens=12))}
        for engine in (folder, single)
    ]

    assert expected[0].logprob == pytest.approx(found[0].logprob, abs=1e-4)
    assert texts[0] == texts[1]
    assert "<turn>user\nName a tool.<end>" in single.render(TURN)
    assert {"gguf": "F32", "dtype": "float32"}.items() <= single.info.description.items()
    model = single._network._model
    assert not hasattr(model, "hf_quantizer")
    assert not hasattr(model.config, "quantization_config")  # type: ignore[attr-defined]  # of the value that is made here
    assert ["LlamaForCausalLM"] == model.config.architectures  # type: ignore[attr-defined]  # of the value that is made here


def test_special_tokens_are_the_files_own(file: Path) -> None:
    """transformers takes Llama's BOS for its EOS, which templates may write behind every turn."""
    tokenizer = _open(file)._tokens.tokenizer

    assert (TURN_END, "<pad>") == (tokenizer.eos_token, tokenizer.bos_token)
    assert "<pad>" == tokenizer.init_kwargs["eos_token"], "transformers reads it right by now"


def test_identity_is_by_content_template_and_dtype(llama: Path, file: Path, tmp_path: Path) -> None:
    """A copy elsewhere is the same model; other weights, another template or dtype are not."""
    copied = shutil.copy(file, tmp_path / "other-name.gguf")
    other = tiny_gguf(tmp_path / "other.gguf", tiny_llama(tmp_path / "other", bos=False, seed=1))

    assert _identify(file).fingerprint == _identify(copied).fingerprint
    assert CHAT_TEMPLATE == _identify(file).chat_template
    found = [_identify(file), _identify(other), _identify(file, dtype="bfloat16"), _identify(llama)]
    assert 4 == len({each.fingerprint for each in found})
    assert not is_reward_model(_model(file))


def test_quantised_blocks_are_unpacked_in_float32(tmp_path: Path) -> None:
    """The formats are named, those of most tensors first; a file of half precision keeps that."""
    half, blocks = np.ones((2, 32), np.float16), quantize(np.ones((2, 32)), GGMLQuantizationType.Q8_0)
    norm = np.ones(32, np.float32)

    quantised = _written(tmp_path / "q.gguf", [(blocks, GGMLQuantizationType.Q8_0)] * 2 + [(norm, None)])
    floats = _written(tmp_path / "f.gguf", [(half, None), (norm, None)])

    assert ("Q8_0", "float32") == (read_header(quantised).quantisation, read_header(quantised).dtype)
    assert ("F16", "float16") == (read_header(floats).quantisation, read_header(floats).dtype)
    assert "bfloat16" == _identify(quantised, dtype="bfloat16").dtype


def _written(
    file: Path, tensors: list[tuple[np.ndarray, GGMLQuantizationType | None]], **stated: int
) -> Path:
    writer = GGUFWriter(file, "llama")
    writer.add_array("a.list.of.lists", [[1, 2], [3]])
    writer.add_token_list(["<pad>", "a", "b"])
    for name, value in stated.items():
        writer.add_uint16(name.replace("_", "."), value)
    for number, (tensor, kind) in enumerate(tensors):
        writer.add_tensor(f"tensor.{number}", tensor, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


DAMAGE = {
    "cut in its weights": (lambda content: content[:-100], "where its header announces .*: it is cut off"),
    "cut in its vocabulary": (lambda content: content[:3000], "damaged, or cut off before its weights"),
    "something else": (lambda content: b"PK" + content, "not a GGUF file"),
    "empty": (lambda content: b"", "not a GGUF file"),
    "of another version": (lambda content: content[:4] + b"\x01" + content[5:], "version 1 of GGUF"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_before_it_is_loaded(file: Path, tmp_path: Path, damage: str) -> None:
    """With what is wrong."""
    change, message = DAMAGE[damage]
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(change(file.read_bytes()))

    with pytest.raises(ModelError, match=message) as raised:
        check_model(_model(bad))
    assert str(bad) in str(raised.value)


def test_parts_of_a_model_are_to_be_joined(tmp_path: Path) -> None:
    """transformers reads one file."""
    part = _written(tmp_path / "m-00001-of-00003.gguf", [(np.ones(2, np.float32), None)], split_count=3)

    with pytest.raises(ModelError, match=r"one of 3 files of a model; join them"):
        _identify(part)


def test_without_the_package_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is loaded."""
    os.utime(file)  # what was read of it is remembered
    monkeypatch.setitem(sys.modules, "gguf", None)

    with pytest.raises(UsageError, match=r'pip install "harness\[gguf\]"'):
        check_model(_model(file))


def test_paths_that_lead_nowhere(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there, one of the hub without a network, a folder of files, and another backend."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shutil.copy(file, tmp_path / "held.gguf")

    with pytest.raises(
        ModelError, match=r"there is no such file; name a GGUF file, or `org/name/gone\.gguf`"
    ):
        _identify(tmp_path / "gone.gguf")
    with pytest.raises(DownloadNeeded, match=r"hf download someone/tiny-GGUF tiny.Q4_K_M.gguf"):
        _identify("someone/tiny-GGUF/tiny.Q4_K_M.gguf")
    with pytest.raises(ModelError, match=r"it holds GGUF files: name one of them \(path = .*held.gguf"):
        _identify(tmp_path)
    with pytest.raises(UsageError, match="a GGUF file is run by transformers"):
        _identify(file, backend="vllm")


def test_odd_headers_are_damage(tmp_path: Path) -> None:
    """Weights aligned to nothing, and lists within lists within lists: no arithmetic and no depth fails."""
    aligned = _written(tmp_path / "a.gguf", [(np.ones(2, np.float32), None)])
    content = aligned.read_bytes()
    key = b"general.alignment"
    stated = struct.pack("<Q", len(key)) + key + struct.pack("<II", 4, 0)
    entries = struct.unpack_from("<Q", content, 16)[0] + 1
    aligned.write_bytes(content[:16] + struct.pack("<Q", entries) + stated + content[24:])
    with pytest.raises(ModelError, match="damaged: it aligns its tensors to 0 bytes"):
        read_header(aligned)

    deep = tmp_path / "d.gguf"
    nested = struct.pack("<Q", 1) + b"a" + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000
    deep.write_bytes(content[:16] + struct.pack("<Q", 1) + nested + content[24:])
    with pytest.raises(ModelError, match="damaged, or cut off before its weights"):
        read_header(deep)


@pytest.mark.real
def test_a_real_model_from_its_file() -> None:
    """SmolLM2 answers, in its own turns, and its log-likelihoods are those of float64 and of lm-eval."""
    from tests.trials.gguf_against_lm_eval import agreement  # noqa: PLC0415 - takes seconds, where it is run only

    question = {
        "question": "What is the capital of France?",
        "mc1_targets": {"choices": ["Paris.", "Rome."], "labels": [1, 0]},
        "mc2_targets": {"choices": ["Paris.", "It is Paris.", "Rome."], "labels": [1, 1, 0]},
    }
    prompt = {
        "key": 1,
        "prompt": "What is the capital of France? Do not use any commas.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    }

    found = agreement([question], [prompt], max_tokens=8, in_float64=2)

    assert 1 == found.texts_identical
    assert found.mc1[0] == found.mc1[1] == 1.0
    assert found.furthest_from_lm_eval < 1e-3
    assert found.furthest_from_float64 < 1e-4

"""What changes a local model's fingerprint, what does not, and what is refused before anything is loaded."""

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from harness.engine import identity
from harness.engine.identity import LocalIdentity, as_asked, identify
from harness.engine.model_files import (
    configuration,
    labels_of,
    named_templates,
    stated_ends,
    tensor_shapes,
    weight_files,
)
from harness.errors import DataError, DownloadNeeded, ModelError, UsageError
from harness.records.models import Gemini, Json, Local, Model
from tests.tiny_models import CHAT_TEMPLATE, tiny_adapter, tiny_llama
from trainers.tokens import load_tokenizer


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model folder, not to be changed."""
    return tiny_llama(tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(original, tmp_path / "copy"))


def _identify(path: Path | str, *, template: str | None = None, **source: str | bool | None) -> LocalIdentity:
    return identify(Model(name="m", source=Local(path=str(path), **source), chat_template=template))  # type: ignore[arg-type]  # keywords of mixed types


def test_the_same_files_elsewhere_are_the_same_model(original: Path, folder: Path) -> None:
    """The folder's name and place, and files that no answer depends on, change nothing."""
    (folder / "README.md").write_text("about")
    (folder / "training_args.bin").write_bytes(b"x")

    assert _identify(original).fingerprint == _identify(folder).fingerprint


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json"]
)
def test_every_file_that_matters_counts(original: Path, folder: Path, name: str) -> None:
    """A changed weight, configuration, generation configuration or tokenizer is another model."""
    if name.endswith(".json"):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, "added": 1}))
    else:
        content = bytearray((folder / name).read_bytes())
        content[-1] ^= 1
        (folder / name).write_bytes(content)

    assert _identify(original).fingerprint != _identify(folder).fingerprint


def test_the_chat_template_counts_by_its_text_wherever_it_is_written(original: Path, folder: Path) -> None:
    """Another text is another model; the same text as an override, a file or a configuration entry is not."""
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert _identify(folder).chat_template is None
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": CHAT_TEMPLATE}))

    same = {_identify(folder).fingerprint, _identify(original, template=CHAT_TEMPLATE).fingerprint}

    assert {_identify(original).fingerprint} == same
    assert _identify(original).fingerprint != _identify(original, template="{{ messages }}").fingerprint
    assert _identify(original, template="{{ messages }}").chat_template == "{{ messages }}"


def test_a_marked_chat_template_is_the_same_template(original: Path, folder: Path) -> None:
    """A byte-order mark and Windows' line ends, as Notepad writes them, are no part of any prompt."""
    plain = (original / "chat_template.jinja").read_text("utf-8") + "\n{#- end #}"
    (folder / "chat_template.jinja").write_bytes(plain.replace("\n", "\r\n").encode("utf-8-sig"))
    assert plain == _identify(folder).chat_template
    assert plain == load_tokenizer(str(folder), None, needs_template=True).chat_template
    (folder / "chat_template.jinja").write_bytes(plain.encode("utf-16"))
    with pytest.raises(DataError, match="not UTF-8 text but UTF-16"):
        _identify(folder)


def test_of_several_named_templates_the_default_one_counts(folder: Path) -> None:
    """A tokenizer configuration may hold a list of named templates."""
    (folder / "chat_template.jinja").unlink()
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": named}))

    assert _identify(folder).chat_template == "plain"


def test_dtype_is_resolved_from_the_configuration(folder: Path) -> None:
    """`auto` is what config.json states, float32 where it states nothing, and an asked one wins."""
    config = json.loads((folder / "config.json").read_text())
    stated = _identify(folder)
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    half = _identify(folder)
    del config["dtype"]
    (folder / "config.json").write_text(json.dumps(config))

    assert ("float32", "bfloat16", "float32") == (stated.dtype, half.dtype, _identify(folder).dtype)
    assert _identify(folder, dtype="float16").dtype == "float16"
    assert _identify(folder, dtype="float16").fingerprint != _identify(folder).fingerprint
    with pytest.raises(ModelError, match="int4"):
        _identify(folder, dtype="int4")


def test_an_adapter_counts(original: Path, tmp_path: Path) -> None:
    """A model with an adapter is another model, and which one is decided by the adapter's content."""
    first = _identify(original, adapter=str(tiny_adapter(tmp_path / "a", original, seed=1)))
    second = _identify(original, adapter=str(tiny_adapter(tmp_path / "b", original, seed=2)))
    copied = _identify(original, adapter=str(shutil.copytree(tmp_path / "a", tmp_path / "c")))

    assert 3 == len({_identify(original).fingerprint, first.fingerprint, second.fingerprint})
    assert first.fingerprint == copied.fingerprint


def test_code_counts_only_where_it_may_run(original: Path, folder: Path) -> None:
    """Python files in the folder are part of a model that is trusted to run them, and of no other."""
    (folder / "modeling_own.py").write_text("print('hello')")

    assert _identify(original).fingerprint == _identify(folder).fingerprint
    assert (
        _identify(original, trust_remote_code=True).fingerprint
        != _identify(folder, trust_remote_code=True).fingerprint
    )


def test_shards_are_found_through_their_index(folder: Path) -> None:
    """A sharded checkpoint's weights are the files its index names, and a missing one is named."""
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))

    with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors is missing"):
        weight_files(folder)
    shutil.copy(folder / shards["a"], folder / shards["b"])
    assert [folder / shards["a"], folder / shards["b"]] == weight_files(folder)


def test_pickled_weights_are_found_where_there_are_no_others(by_hand: Path) -> None:
    """Whole, or by the index of their shards, which must name them."""
    (by_hand / "model.safetensors").unlink()
    index = by_hand / "pytorch_model.bin.index.json"
    index.write_text("{}")
    with pytest.raises(ModelError, match=r"index\.json: no 'weight_map' in it; the file is damaged$"):
        weight_files(by_hand)
    index.write_text('{"weight_map": {"a": "pytorch_model-1.bin"}}')
    (by_hand / "pytorch_model-1.bin").write_bytes(b"pickle")
    assert [by_hand / "pytorch_model-1.bin"] == weight_files(by_hand)
    (by_hand / "pytorch_model.bin").write_bytes(b"pickle")
    assert [by_hand / "pytorch_model.bin"] == weight_files(by_hand)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "no config.json"),
        ("config.json", b"{", r"config.json: not valid JSON"),
        ("config.json", b"[]", "a JSON object was expected"),
        ("tokenizer.json", None, "no tokenizer in it"),
        ("tokenizer.json", b"\xff\xfe", r"tokenizer.json: not valid JSON"),
        ("tokenizer_config.json", b"{,}", r"tokenizer_config.json: not valid JSON"),
        ("model.safetensors", None, "no weights in it"),
        ("model.safetensors", b"", "the file is empty"),
        ("model.safetensors", b"\xff" * 100, "not a safetensors file"),
        ("model.safetensors", (2).to_bytes(8, "little") + b"{}", "no tensor in it"),
    ],
)
def test_what_is_no_model_is_refused(folder: Path, name: str, content: bytes | None, message: str) -> None:
    """A missing, empty or damaged file is one clear error that names the folder."""
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)

    with pytest.raises(ModelError, match=message) as raised:
        _identify(folder)
    assert str(folder) in str(raised.value)


def test_cut_off_weights_are_refused(folder: Path) -> None:
    """A download that stopped half-way is recognised by the size its header announces."""
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])

    with pytest.raises(ModelError, match=r"where its header announces [0-9]+: it is cut off$"):
        _identify(folder)


def test_weights_with_something_behind_them_are_refused(folder: Path) -> None:
    """A file that is too long is damaged too, and not called cut off."""
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match=r": something stands behind its last tensor$"):
        weight_files(folder)


def test_an_adapter_named_as_a_model_is_explained(original: Path, tmp_path: Path) -> None:
    """An adapter's folder is no model, and the message says where it belongs."""
    with pytest.raises(ModelError, match=r"; it holds an adapter: name it as `adapter`, beside its base$"):
        _identify(tiny_adapter(tmp_path / "adapter", original))
    with pytest.raises(ModelError, match=r"no adapter_config\.json"):
        _identify(original, adapter=str(original))


def test_a_folder_of_gguf_files_says_which_to_name(tmp_path: Path) -> None:
    """The first of them by name; an empty folder has nothing to name."""
    with pytest.raises(ModelError, match=r"so it is not a model folder$"):
        configuration(tmp_path)
    for name in ("b.gguf", "a.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r'it holds GGUF files: name one of them \(path = ".*/a\.gguf"\)$'):
        configuration(tmp_path)


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./missing", "../missing", "~/missing-model", "a/b/c"])
def test_a_missing_folder_is_named(path: str) -> None:
    """A path that cannot be a hub id is a folder that is not there."""
    with pytest.raises(ModelError, match="there is no such folder") as raised:
        _identify(path)
    assert path in str(raised.value)


@pytest.mark.parametrize("path", ["nobody/no-such-model", "no-such-model"])
def test_a_hub_id_without_network_or_cache_says_what_to_do(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could be a hub id is looked for in the hub's cache, and its absence is explained."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(DownloadNeeded, match="Connect to the network") as raised:
        _identify(path)
    assert path in str(raised.value)


def test_a_cached_hub_model_is_found_and_equals_its_folder(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot in the hub's cache is used without a network, and has its content's fingerprint."""
    commit = "0" * 40
    repository = tmp_path / "models--someone--tiny"
    shutil.copytree(original, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    assert _identify(original).fingerprint == _identify("someone/tiny").fingerprint
    assert _identify(original).fingerprint == _identify("someone/tiny", revision=commit).fingerprint
    with pytest.raises(DownloadNeeded, match="at revision v2"):
        _identify("someone/tiny", revision="v2")


def test_a_file_is_no_folder(original: Path) -> None:
    """Naming a file inside the folder is answered with what was expected."""
    with pytest.raises(ModelError, match="a file, where a model's folder was expected"):
        _identify(original / "config.json")


def test_remote_models_have_no_files() -> None:
    """Only a local model is identified from files."""
    with pytest.raises(UsageError, match="does not run on this machine"):
        identify(Model(name="judge", source=Gemini(model="gemini-2.5-flash")))


def test_identifying_loads_no_model_library() -> None:
    """Recognising a finished comparison must not cost the import of torch."""
    code = "import harness.engine.identity, harness.engine.opening, sys; print([*sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert [] == [name for name in ("torch", "transformers", "huggingface_hub") if f"'{name}'" in loaded]


# ---------------------------------------------------------------- what stayed, and what counts besides


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    """A model's folder of fixed content, with an adapter's beside it."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    weights = struct.pack("<Q", len(header)) + header + bytes(4)
    model, adapter = tmp_path / "by-hand", tmp_path / "by-hand-adapter"
    model.mkdir()
    (model / "config.json").write_text('{"eos_token_id": 1}')
    (model / "generation_config.json").write_text('{"eos_token_id": 1}')
    (model / "tokenizer.json").write_text('{"post_processor": null}')
    (model / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    (model / "model.safetensors").write_bytes(weights)
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 2}')
    (adapter / "adapter_model.safetensors").write_bytes(weights)
    return model


def test_what_few_models_have_changes_no_others_fingerprint(
    by_hand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the engine's version, a plain model and one with a plain adapter are those of older stores."""
    monkeypatch.setattr(identity, "ENGINE_VERSION", 2)
    alone, adapted = _identify(by_hand), _identify(by_hand, adapter=f"{by_hand}-adapter")

    assert (
        "sha256:6b885959bb72c6404450e5fc2fa75cfb277f20c1c9dc082b28e2563dba8543cb",
        "sha256:29224b0635eee0eaa091719deb1cbdb4b99e8585358049039c63aefc7de3a9fe",
    ) == (alone.fingerprint, adapted.fingerprint)
    assert {} == alone.described == adapted.described


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ({"torch_dtype": "float16"}, "float16"),
        ({"dtype": "bfloat16", "torch_dtype": "float16"}, "bfloat16"),
        ({"text_config": {"dtype": "bfloat16"}}, "bfloat16"),
        ({"dtype": "float16", "text_config": {"dtype": "bfloat16"}}, "float16"),
        ({"dtype": None, "text_config": {"torch_dtype": "bfloat16"}}, "bfloat16"),
        ({"text_config": "none"}, "float32"),
        ({"dtype": "float8_e4m3fn"}, "float32"),
    ],
)
def test_where_a_number_format_is_stated(by_hand: Path, config: dict[str, Json], dtype: str) -> None:
    """By either name, for the model or its text part; one that is not run here is float32."""
    (by_hand / "config.json").write_text(json.dumps(config))
    assert dtype == _identify(by_hand).dtype


@pytest.mark.parametrize(
    ("name", "content", "settings", "thinks"),
    [
        ("special_tokens_map.json", "{}", {}, False),
        ("special_tokens_map.json", "{}", {"thinking": True}, True),
        ("special_tokens_map.json", "{}", {"thinking_tokens": 5}, True),
        ("special_tokens_map.json", "{}", {"thinking_tags": ("<a>", "</a>")}, True),
        ("added_tokens.json", '{"<think>": 5}', {}, True),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"5": {"content": "<think>"}}}', {}, True),
        ("merges.txt", "<think>", {}, False),
        ("vocab.json", b'"\xff", "<think>": 5', {}, True),
    ],
)
def test_what_shows_that_a_model_thinks(
    by_hand: Path, name: str, content: str | bytes, settings: dict[str, Any], thinks: bool
) -> None:
    """A thought's tag among the tokens, or the model's own section; merges are pieces of other words."""
    (by_hand / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert thinks == identify(Model(name="m", source=Local(path=str(by_hand)), **settings)).thinks


def test_a_template_that_is_no_text_is_none(by_hand: Path) -> None:
    """As transformers has it."""
    (by_hand / "tokenizer_config.json").write_text('{"chat_template": 3}')
    assert _identify(by_hand).chat_template is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack("<Q", 9) + b"{}      ", "not a safetensors file, or cut off in its header$"),
        (struct.pack("<Q", 8) + b"{x      ", r"its header cannot be read \(.*line 1 column 2"),
        (struct.pack("<Q", 22) + b'{"__metadata__": {}}  ', "no tensor in it$"),
    ],
)
def test_damaged_headers_are_named(by_hand: Path, content: bytes, message: str) -> None:
    """What is wrong with a weights file, and where."""
    (by_hand / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=rf"by-hand/model\.safetensors: .*{message}"):
        weight_files(by_hand)


def test_shapes_are_read_from_the_header_alone(tmp_path: Path) -> None:
    """A header as long as its first eight bytes say, and tensors that are not there."""
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [2, 300], "data_offsets": [0, 2400]},
            "b": {"dtype": "F32", "shape": [], "data_offsets": [2400, 2404]},
        }
    ).ljust(300)
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", 300) + header.encode() + b"\xff")
    assert {"a": (2, 300), "b": ()} == tensor_shapes(file)


def _has_a_tiktoken(model: Path, adapter: Path) -> dict[str, Any]:
    (model / "tokenizer.json").unlink()
    (model / "words.tiktoken").write_text("a 1")
    (model / "tokenizer_config.json").write_text('{"added": "<s>", "chat_template": "{{ messages }}"}')
    return {}


def _appends(model: Path, adapter: Path) -> dict[str, Any]:
    (model / "tokenizer_config.json").write_text('{"add_eos_token": true}')
    return {}


def _reads_the_clock(model: Path, adapter: Path) -> dict[str, Any]:
    return {"template": "{{ strftime_now('%Y') }}"}


def _thinks(model: Path, adapter: Path) -> dict[str, Any]:
    return {"template": "<think>{{ messages }}"}


def _speaks_portuguese(model: Path, adapter: Path) -> dict[str, Any]:
    return {"template": "olá {{ messages }}"}


def _runs_elsewhere(model: Path, adapter: Path) -> dict[str, Any]:
    return {"backend": "vllm"}


def _runs_code(model: Path, adapter: Path) -> dict[str, Any]:
    (model / "modeling.py").write_text("pass")
    return {"trust_remote_code": True}


def _has_an_adapter(model: Path, adapter: Path) -> dict[str, Any]:
    """Where its base stood, and a second copy of its weights, say nothing."""
    (adapter / "adapter_config.json").write_text('{"r": 2, "base_model_name_or_path": "/somewhere"}')
    (adapter / "adapter_model.bin").write_bytes(b"older")
    return {"adapter": str(adapter)}


def _has_an_old_adapter(model: Path, adapter: Path) -> dict[str, Any]:
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(b"older")
    return {"adapter": str(adapter)}


@pytest.mark.parametrize(
    ("made", "fingerprint"),
    [
        (_has_a_tiktoken, "73e617fabd32e2322b076af81628513e307c113ca7262d778c208cc67fe53a8c"),
        (_appends, "b54dbe93fe6a59d340871a04ad837c8db492b9b924313bbd9c63551e851e85e1"),
        (_reads_the_clock, "19d8d5db59fd4ed6396da5fa33a57c8bb2ec8a622e8812eac530a27484fcf52b"),
        (_thinks, "590486a682f5911a224ef2182eac319ca9ce23219768a75b14ee5a1e01ad1621"),
        (_speaks_portuguese, "f1e85d29727d9b11109ba1f4799dcd93f69e182c6804e995afab87efa0ff527a"),
        (_runs_elsewhere, "973e37e78661eba492022454814c4da28524fede5dc821ff1dea2bd698a34319"),
        (_runs_code, "4c137c1a9220379a7556a925f482e65f2134823922330d177a73b6673929df64"),
        (_has_an_adapter, "29224b0635eee0eaa091719deb1cbdb4b99e8585358049039c63aefc7de3a9fe"),
        (_has_an_old_adapter, "501c90767cbc31d9a5717bfbfadbb14b6b4a8b13a8d4e1752323ca27b53c2e52"),
    ],
)
def test_rare_parts_keep_their_fingerprints(
    by_hand: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[Path, Path], Any], fingerprint: str
) -> None:
    """What a store holds of such models is found again; engine and thoughts are those of some version."""
    monkeypatch.setattr(identity, "ENGINE_VERSION", 2)
    monkeypatch.setattr(identity, "THOUGHTS_VERSION", 1)
    source = made(by_hand, Path(f"{by_hand}-adapter"))
    assert f"sha256:{fingerprint}" == _identify(by_hand, **source).fingerprint


def test_an_adapter_without_weights_is_refused(by_hand: Path) -> None:
    """The message names the file that is missing."""
    adapter = Path(f"{by_hand}-adapter")
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no adapter weights in it \(adapter_model\.safetensors\)$"):
        _identify(by_hand, adapter=str(adapter))


def test_an_adapters_own_tokenizer_and_template_stand_for_the_bases(by_hand: Path) -> None:
    """Each counts by itself; what is no different from the base's changes nothing."""
    adapter = by_hand.with_name("by-hand-adapter")
    plain = _identify(by_hand, adapter=str(adapter))
    (adapter / "chat_template.jinja").write_text("theirs")
    with_template = _identify(by_hand, adapter=str(adapter))
    (adapter / "chat_template.jinja").unlink()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(by_hand / name, adapter / name)
    same = _identify(by_hand, adapter=str(adapter))
    (adapter / "tokenizer.json").write_text('{"post_processor": null, "model": {}}')
    another = _identify(by_hand, adapter=str(adapter))

    assert ("theirs", "{{ messages }}") == (with_template.chat_template, same.chat_template)
    assert plain.fingerprint == same.fingerprint
    assert 3 == len({each.fingerprint for each in (plain, with_template, another)})
    assert (by_hand, adapter) == (plain.tokenizer, another.tokenizer)
    assert {"tokenizer": "the adapter's"} == another.described
    assert "ours" == _identify(by_hand, adapter=str(adapter), template="ours").chat_template


@pytest.mark.parametrize(
    ("processor", "config"),
    [
        ({"type": "TemplateProcessing", "single": [{"Sequence": {}}, {"SpecialToken": {}}]}, {}),
        ({"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "RobertaProcessing"}]}, {}),
        (None, {"add_eos_token": True}),
    ],
)
def test_a_tokenizer_that_may_append_is_another_model_than_it_was(
    by_hand: Path, processor: dict[str, Any] | None, config: dict[str, Any]
) -> None:
    """Its answers changed when what it appends was left off, so kept ones are not served for them."""
    (by_hand / "tokenizer.json").write_text(json.dumps({"post_processor": processor}))
    (by_hand / "tokenizer_config.json").write_text(json.dumps(config))
    now = _identify(by_hand).fingerprint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.engine.identity.may_append", lambda folder: False)
        before = _identify(by_hand).fingerprint

    assert now != before


@pytest.mark.parametrize(
    "processor",
    [
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {}}, {"Sequence": {}}]},
        {"type": "TemplateProcessing", "single": []},
        {"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "ByteLevel", "single": "odd"}]},
    ],
)
def test_a_tokenizer_that_only_begins_texts_stays_what_it_is(by_hand: Path, processor: Json) -> None:
    """BOS in front of every text is as it was."""
    (by_hand / "tokenizer.json").write_text(json.dumps({"post_processor": processor}))
    before = _identify(by_hand).fingerprint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.engine.identity.may_append", lambda folder: False)
        assert before == _identify(by_hand).fingerprint


def test_the_date_of_a_template_that_reads_the_clock_counts(by_hand: Path) -> None:
    """It is recorded, and another fixed date would make another model; other templates have none."""
    reading = "{{ strftime_now('%Y') }}"
    dated = _identify(by_hand, template=reading)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.engine.identity.FIXED_DATE", date(2025, 1, 1))
        later = _identify(by_hand, template=reading)

    assert {"chat_template_date": "2024-07-26"} == dated.described
    assert dated.fingerprint != later.fingerprint
    assert _identify(by_hand).date is None


@pytest.mark.parametrize("as_files", [True, False])
def test_named_templates_without_a_default_are_refused(by_hand: Path, as_files: bool) -> None:
    """Neither bare text nor one of them is taken silently; an override, or a default, is."""
    if as_files:
        (by_hand / "tokenizer_config.json").write_text("{}")
        (by_hand / "additional_chat_templates").mkdir()
        for name in ("tool", "rag"):
            (by_hand / f"additional_chat_templates/{name}.jinja").write_text("documents")
    else:
        named = {"chat_template": [{"name": name, "template": "documents"} for name in ("rag", "tool")]}
        (by_hand / "tokenizer_config.json").write_text(json.dumps(named))

    with pytest.raises(
        ModelError,
        match=r"named rag, tool, and none without a name; write .* \(`chat_template = \"FILE\"` in",
    ):
        _identify(by_hand)
    assert "mine" == _identify(by_hand, template="mine").chat_template
    (by_hand / "chat_template.jinja").write_text("the default")
    assert "the default" == _identify(by_hand).chat_template


def test_a_named_default_is_no_other_template(by_hand: Path) -> None:
    """Of templates in a list, the one called default is the model's own, and the rest stand beside it."""
    listed = [{"name": name, "template": name.upper()} for name in ("tool_use", "default")]
    (by_hand / "tokenizer_config.json").write_text(json.dumps({"chat_template": listed}))
    assert ("tool_use",) == named_templates(by_hand)
    assert "DEFAULT" == _identify(by_hand).chat_template


def test_the_order_of_template_arguments_says_nothing(by_hand: Path) -> None:
    """A section whose keys stand in another order asks the same model."""
    plain = Model(name="m", source=Local(path=str(by_hand)))
    found = identify(plain)
    arguments: dict[str, Json] = {"effort": "low", "dates": True}
    first, second = (
        as_asked(found, replace(plain, template_arguments=each))
        for each in (arguments, dict(reversed(arguments.items())))
    )
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != found.fingerprint


def test_how_a_model_is_asked_is_a_part_of_its_identity(
    by_hand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A section that sets something changes the fingerprint, by value; the template stays."""
    monkeypatch.setattr(identity, "ENGINE_VERSION", 2)
    plain = Model(name="m", source=Local(path=str(by_hand)))
    brief = replace(plain, system="Be brief.")
    found = identify(plain)

    assert found is as_asked(found, plain)
    asked = as_asked(found, brief)
    assert ("sha256:0f098d2f0ced1a86d75473e56650ff3992fd6e8b44bd0b1684da65ada8cf01c2", "{{ messages }}") == (
        asked.fingerprint,
        asked.chat_template,
    )
    info = asked.info({"engine": "local"})
    assert (asked.fingerprint, "{{ messages }}", {"engine": "local"}) == (
        info.fingerprint,
        info.chat_template,
        info.description,
    )
    (by_hand / "tokenizer_config.json").write_text("{}")
    with pytest.raises(
        ModelError, match="model 'm': `system` precedes turns, and the model has no chat templ"
    ):
        as_asked(identify(plain), brief)


CLASSIFIER = {"architectures": ["LlamaForSequenceClassification"]}


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ({"architectures": ["LlamaForCausalLM"], "num_labels": 3}, None),
        ({"architectures": []}, None),
        ({}, None),
        ({"architectures": "LlamaForSequenceClassification"}, None),
        (CLASSIFIER, 2),
        (CLASSIFIER | {"num_labels": 1}, 1),
        (CLASSIFIER | {"id2label": {"0": "a", "1": "b", "2": "c"}, "num_labels": 1}, 3),
        ({"architectures": ["BertForSequenceClassification", "LlamaForCausalLM"], "num_labels": 4}, 4),
    ],
)
def test_labels_of_a_classifier(by_hand: Path, config: dict[str, Any], labels: int | None) -> None:
    """By name, or by number, or two where its configuration says nothing."""
    (by_hand / "config.json").write_text(json.dumps(config))
    assert labels == labels_of(by_hand)


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        ({"eos_token_id": [7, 8]}, {"eos_token_id": 1}, (7, 8)),
        ({"eos_token_id": 0}, {"eos_token_id": 1}, (0,)),
        ({}, {"eos_token_id": 1, "text_config": {"eos_token_id": 2}}, (1,)),
        ({}, {"text_config": {"eos_token_id": [2, None]}}, (2,)),
        ({"eos_token_id": None}, {"text_config": "none"}, ()),
        ({}, {}, ()),
    ],
)
def test_where_ends_are_stated(
    by_hand: Path, generation: dict[str, Any], config: dict[str, Any], ends: tuple[int, ...]
) -> None:
    """First for generation, then for the model, then for the text part of one that sees and reads."""
    (by_hand / "generation_config.json").write_text(json.dumps(generation))
    (by_hand / "config.json").write_text(json.dumps(config))
    assert ends == stated_ends(by_hand)

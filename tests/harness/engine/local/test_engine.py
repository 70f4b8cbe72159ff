"""The local engine: the same answers in any batch, errors that name what is wrong, memory that runs out."""

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

from harness.engine.local import network
from harness.engine.local.engine import LocalEngine
from harness.engine.local.network import Network
from harness.engine.opening import open_engine
from harness.errors import EngineError, ModelError
from harness.protocols import Engine
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Local, Model
from tests.tiny_models import EOS, SENTENCES, tiny_adapter, tiny_gemma3, tiny_gpt2, tiny_llama, tiny_qwen2

FAMILIES = [tiny_llama, tiny_qwen2, tiny_gemma3, tiny_gpt2]
TEXTS = [*SENTENCES, "No", "a b c", "The quick brown fox jumps over"]
PAIRS = [(text[:cut], text[cut:]) for text in SENTENCES for cut in (9, 20, 31)]


def _open(folder: Path, **source: str) -> Engine:
    return open_engine(Model(name="tiny", source=Local(path=str(folder), **source)), device="cpu")


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.__name__)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of each model family."""
    return request.param(tmp_path_factory.mktemp("family") / "checkpoint")


@pytest.fixture(scope="module")
def family(folder: Path) -> Engine:
    """One engine of each model family."""
    return _open(folder)


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with BOS and chat template, not to be changed."""
    return tiny_llama(tmp_path_factory.mktemp("llama") / "checkpoint")


@pytest.fixture(scope="module")
def llama(llama_folder: Path) -> Engine:
    """Its engine."""
    return _open(llama_folder)


def _responses(engine: Engine, prompts: list[Prompt], sampling: SamplingParameters) -> list[Response]:
    answers = dict(engine.generate(prompts, sampling))
    return [answers[index] for index in range(len(prompts))]


def _texts(engine: Engine, texts: list[str], sampling: SamplingParameters) -> list[str]:
    return [answer.text for answer in _responses(engine, [Prompt(content=text) for text in texts], sampling)]


def _scores(engine: Engine, pairs: list[tuple[str, str]]) -> list[LogLikelihood]:
    answers = dict(engine.loglikelihood(pairs))
    return [answers[index] for index in range(len(pairs))]


def test_scores_do_not_depend_on_the_batch(family: Engine) -> None:
    """Together, in another order or one by one: the same log-likelihoods, for every model family."""
    order = random.Random(0).sample(range(len(PAIRS)), len(PAIRS))

    together = _scores(family, PAIRS)
    shuffled = _scores(family, [PAIRS[index] for index in order])
    alone = [_scores(family, [pair])[0] for pair in PAIRS]

    for index, expected in enumerate(alone):
        for answer in (together[index], shuffled[order.index(index)]):
            assert pytest.approx(expected.logprob, abs=1e-4) == answer.logprob
            assert (expected.greedy, expected.tokens) == (answer.greedy, answer.tokens)


def test_greedy_answers_equal_transformers_generate(family: Engine, folder: Path) -> None:
    """A mixed batch, finished rows leaving it, writes what `model.generate` writes for each prompt alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    expected = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        new = model.generate(ids, max_new_tokens=24, do_sample=False)[0, ids.shape[1] :]
        expected.append(tokenizer.decode(new, skip_special_tokens=True))

    assert expected == _texts(family, TEXTS, SamplingParameters(max_tokens=24))


def test_samples_do_not_depend_on_the_batch(family: Engine) -> None:
    """The same request draws the same sample alone, in company and in any order; another draw another one."""
    sampling = SamplingParameters(max_tokens=12, temperature=1.0, top_p=0.9, seed=7)
    prompts = [Prompt(content=text, draw=number) for text in TEXTS[:4] for number in range(3)]
    order = random.Random(1).sample(range(len(prompts)), len(prompts))

    together = _responses(family, prompts, sampling)
    shuffled = _responses(family, [prompts[index] for index in order], sampling)
    alone = [_responses(family, [prompt], sampling)[0] for prompt in prompts[:3]]

    assert [answer.text for answer in alone] == [answer.text for answer in together[:3]]
    assert [together[index].text for index in order] == [answer.text for answer in shuffled]
    assert 3 == len({answer.text for answer in alone})


def test_the_seed_counts_for_sampling_only(llama: Engine) -> None:
    """Another seed draws other samples; greedy decoding ignores it."""
    hot = [
        _texts(llama, TEXTS, SamplingParameters(max_tokens=8, temperature=1.0, seed=seed))
        for seed in (1, 2, 1)
    ]
    greedy = [_texts(llama, TEXTS, SamplingParameters(max_tokens=8, seed=seed)) for seed in (1, 2)]

    assert hot[0] == hot[2]
    assert hot[0] != hot[1]
    assert greedy[0] == greedy[1]


def test_answers_say_why_they_ended(llama: Engine) -> None:
    """`length` at max_tokens, `end` at a stop string, with the tokens of prompt and answer counted."""
    whole = _responses(llama, [Prompt(content="No")], SamplingParameters(max_tokens=6))[0]
    stop = whole.text[2:5]
    cut = _responses(llama, [Prompt(content="No")], SamplingParameters(max_tokens=6, stop=(stop,)))[0]

    assert ("length", 6, 2) == (whole.stop_reason, whole.completion_tokens, whole.prompt_tokens)
    assert ("end", whole.text[: whole.text.index(stop)]) == (cut.stop_reason, cut.text)


def test_every_end_token_ends_an_answer(tmp_path: Path) -> None:
    """generation_config.json may name several end tokens; an answer stops at the first of any."""
    folder = tiny_llama(tmp_path / "several")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    first = AutoModelForCausalLM.from_pretrained(folder)(ids).logits[0, -1].argmax().item()
    ends = [tokenizer.eos_token_id, first]
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": ends}))

    answer = _responses(_open(folder), [Prompt(content=TEXTS[0])], SamplingParameters(max_tokens=6))[0]

    assert ("", "end", 1) == (answer.text, answer.stop_reason, answer.completion_tokens)


def test_a_repetition_penalty_of_the_checkpoint_is_applied(tmp_path: Path) -> None:
    """generation_config.json's penalties count as they do in transformers, per row, without the padding."""
    folder = tiny_llama(tmp_path / "penalised")
    config = json.loads((folder / "generation_config.json").read_text())
    penalties = {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "suppress_tokens": [300]}
    (folder / "generation_config.json").write_text(json.dumps({**config, **penalties}))

    engine, tokenizer = _open(folder), AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    expected = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        new = model.generate(ids, max_new_tokens=16, do_sample=False)[0, ids.shape[1] :]
        expected.append(tokenizer.decode(new, skip_special_tokens=True))

    assert expected == _texts(engine, TEXTS, SamplingParameters(max_tokens=16))


def test_truncation_is_reported(llama: Engine) -> None:
    """What was cut from the left is counted, for scores and for answers."""
    context = "dog " * 300
    score = _scores(llama, [(context, "done")])[0]
    answer = _responses(llama, [Prompt(content=context)], SamplingParameters(max_tokens=56))[0]
    fitting = _responses(llama, [Prompt(content="dog")], SamplingParameters(max_tokens=56))[0]

    assert score.truncated > 0
    assert 200 == answer.prompt_tokens
    assert answer.truncated > 0
    assert 0 == fitting.truncated


def test_where_no_room_is_left_prompt_and_answer_share_the_window(llama: Engine) -> None:
    """`max_tokens` at or beyond the window gives each half of it."""
    answer = _responses(llama, [Prompt(content="dog " * 300)], SamplingParameters(max_tokens=1280))[0]

    assert 128 == answer.prompt_tokens
    assert answer.completion_tokens <= 128


@pytest.mark.parametrize("pair", [("The capital of Fr", "ance"), ("a", ""), ("", ""), ("a", " dog" * 400)])
def test_what_cannot_be_scored_is_an_error(llama: Engine, pair: tuple[str, str]) -> None:
    """A continuation that adds no token of its own, or more than the window, gets no invented number."""
    with pytest.raises(EngineError, match="pair 1 cannot be scored"):
        list(llama.loglikelihood([("a", " b"), pair]))


def test_turns_are_rendered_with_the_override(llama_folder: Path) -> None:
    """A template given with the model replaces the tokenizer's own."""
    template = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}"
    source = Local(path=str(llama_folder))
    engine = open_engine(Model(name="m", source=source, chat_template=template), device="cpu")

    assert "[hello]" == engine.render([Message(role="user", content="hello")])
    assert template == engine.info.chat_template


def test_turns_without_a_template_are_refused(tmp_path: Path) -> None:
    """A model without a chat template can be asked texts, and refuses turns by name."""
    engine = _open(tiny_llama(tmp_path / "plain", chat_template=False))

    assert engine.info.chat_template is None
    with pytest.raises(ModelError, match="tiny: the model has no chat template"):
        list(
            engine.generate(
                [Prompt(content=(Message(role="user", content="a"),))], SamplingParameters(max_tokens=1)
            )
        )


def test_a_template_that_refuses_is_named(llama_folder: Path) -> None:
    """A template may raise, for a system turn for instance: its own words are passed on."""
    template = "{{ raise_exception('System role not supported') }}"
    source = Local(path=str(llama_folder))
    engine = open_engine(Model(name="m", source=source, chat_template=template), device="cpu")

    with pytest.raises(ModelError, match="cannot render these turns: System role not supported"):
        engine.render([Message(role="system", content="be kind")])


def test_an_adapter_is_applied(llama: Engine, llama_folder: Path, tmp_path: Path) -> None:
    """A PEFT adapter changes the answers, to those of the adapted model in peft itself."""
    adapter = tiny_adapter(tmp_path / "adapter", llama_folder)
    engine = _open(llama_folder, adapter=str(adapter))
    tokenizer = AutoTokenizer.from_pretrained(llama_folder)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(llama_folder), str(adapter))
    context, whole = (tokenizer(text, return_tensors="pt")["input_ids"] for text in ("No", "No, people"))
    logprobs = model(whole).logits[0, context.shape[1] - 1 : -1].log_softmax(-1)
    expected = logprobs.gather(1, whole[0, context.shape[1] :, None]).sum().item()

    score = _scores(engine, [("No", ", people")])[0]

    assert pytest.approx(expected, abs=1e-4) == score.logprob
    assert abs(score.logprob - _scores(llama, [("No", ", people")])[0].logprob) > 0.01
    assert engine.info.description["adapter"] is True
    assert 12 >= len(_texts(engine, ["No"], SamplingParameters(max_tokens=2))[0])


def _adapter_with_tokens(folder: Path, base: Path, added: int, *, saves_rows: bool) -> Path:
    """A LoRA adapter with its own tokenizer of so many more tokens than the base has rows."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    rows = model.get_input_embeddings().weight.shape[0]
    tokenizer.add_tokens([f"<new{number}>" for number in range(rows - len(tokenizer) + added)], True)
    torch.manual_seed(0)
    if saves_rows:
        model.resize_token_embeddings(len(tokenizer))
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    adapted.save_pretrained(folder, save_embedding_layers=saves_rows)
    tokenizer.chat_template = "{% for message in messages %}<new0>{{ message['content'] }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    return folder


def test_an_adapters_tokenizer_template_and_embeddings_are_used(llama_folder: Path, tmp_path: Path) -> None:
    """One token for each added one, in the adapter's turns, with the rows that the adapter holds."""
    adapter = _adapter_with_tokens(tmp_path / "adapter", llama_folder, 3, saves_rows=True)
    engine = _open(llama_folder, adapter=str(adapter))
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    base = AutoModelForCausalLM.from_pretrained(llama_folder)
    base.resize_token_embeddings(len(tokenizer))
    model = PeftModel.from_pretrained(base, str(adapter))
    tokens = tokenizer("No<new0>, people<new3>", return_tensors="pt")["input_ids"]
    logprobs = model(tokens).logits[0, -2].log_softmax(-1)

    text = engine.render([Message(role="user", content="<new3>")])
    score = _scores(engine, [("No<new0>, people", "<new3>")])[0]

    assert ("<new0><new3>", "the adapter's") == (text, engine.info.description["tokenizer"])
    assert 1 == score.tokens
    assert pytest.approx(logprobs[tokens[0, -1]].item(), abs=1e-4) == score.logprob


def test_tokens_without_embeddings_get_no_random_ones(llama_folder: Path, tmp_path: Path) -> None:
    """An adapter that was saved without the rows of its added tokens gives the same numbers every time."""
    adapter = _adapter_with_tokens(tmp_path / "adapter", llama_folder, 2, saves_rows=False)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(
            _scores(_open(llama_folder, adapter=str(adapter)), [("No<new1>", ", people")])[0].logprob
        )

    assert found[0] == found[1]


class Code:
    """Anything but a tensor."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What unpickling would run."""
        return (print, ("ran",))


def _half(file: Path) -> None:
    torch.save({"a": torch.zeros(100)}, file, _use_new_zipfile_serialization=False)
    file.write_bytes(file.read_bytes()[:40])


PICKLES: dict[str, Callable[[Path], object]] = {
    "code": lambda file: torch.save({"a": Code()}, file),
    "a plain pickle": lambda file: file.write_bytes(pickle.dumps({"a": 1}, protocol=2)),
    "text": lambda file: file.write_text("hello world, no pickle"),
    "a pointer of Git LFS": lambda file: file.write_text("version https://git-lfs.github.com/spec/v1\n"),
    "a cut one": _half,
}


@pytest.mark.parametrize("kind", PICKLES)
def test_a_pickle_that_torch_refuses_is_named(
    llama_folder: Path, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """With what to do instead, without torch's advice to run it all the same; and nothing in it runs."""
    folder = Path(shutil.copytree(llama_folder, tmp_path / "pickled"))
    (folder / "model.safetensors").unlink()
    PICKLES[kind](folder / "pytorch_model.bin")

    with pytest.raises(ModelError) as raised:
        _open(folder)
    assert str(folder) in str(raised.value)
    assert "weights_only" not in str(raised.value)
    if kind in ("code", "text", "a pointer of Git LFS"):
        assert "pytorch_model.bin: torch opens a pickle only of tensors" in str(raised.value)
        assert "safetensors" in str(raised.value)
    assert "ran" not in capfd.readouterr().out


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_an_error(tmp_path: Path, poison: float) -> None:
    """NaN and infinity end the work with the model, the dtype and advice; they never become a score."""
    folder = tiny_llama(tmp_path / "poisoned")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.model.norm.weight[0] = poison
    model.save_pretrained(folder)
    engine = _open(folder)

    with pytest.raises(
        EngineError, match=r"tiny: .*NaN or infinite logits in float32; the weights are damaged"
    ):
        list(engine.loglikelihood([("a", "b")]))
    with pytest.raises(EngineError, match="NaN or infinite logits"):
        list(engine.generate([Prompt(content="a")], SamplingParameters(max_tokens=1)))
    half = _open(folder, dtype="float16")
    with pytest.raises(EngineError, match="set dtype"):
        list(half.loglikelihood([("a", "b")]))


def _short_of_memory(
    monkeypatch: pytest.MonkeyPatch, rows: int, error: Callable[[], BaseException], after: int = 0
) -> list[int]:
    """Let every pass of more than `rows` rows fail, from the `after`-th on; returns the sizes seen."""
    forward, seen = Network.forward, []

    def limited(self: Network, tokens: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(len(tokens))
        if len(tokens) > rows and len(seen) > after:
            raise error()
        return forward(self, tokens, *args, **kwargs)

    monkeypatch.setattr(Network, "forward", limited)
    return seen


ERRORS: list[Callable[[], BaseException]] = [
    lambda: torch.OutOfMemoryError("CUDA out of memory"),
    lambda: RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes"),
    lambda: MemoryError(),
]


def test_out_of_memory_in_the_middle_of_answers(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that were finished are not asked again; the others are, and draw the same samples."""
    engine = _open(llama_folder)
    sampling = SamplingParameters(max_tokens=10, temperature=1.0, seed=3, stop=("e",))
    expected = _texts(engine, TEXTS, sampling)
    _short_of_memory(monkeypatch, 2, ERRORS[0], after=4)

    answers = list(engine.generate([Prompt(content=text) for text in TEXTS], sampling))

    assert list(range(len(TEXTS))) == sorted(index for index, _ in answers)
    assert expected == [answer.text for _, answer in sorted(answers, key=lambda answer: answer[0])]


def test_out_of_memory_with_one_request_is_an_error(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit alone cannot be answered, and the message says what to change."""
    engine = _open(llama_folder)
    _short_of_memory(monkeypatch, 0, ERRORS[0])

    with pytest.raises(EngineError, match="out of memory on cpu with a single request"):
        list(engine.loglikelihood(PAIRS))


def test_other_failures_are_not_swallowed(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only running out of memory is handled."""
    engine = _open(llama_folder)
    _short_of_memory(monkeypatch, 0, lambda: RuntimeError("shapes do not match"))

    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(engine.loglikelihood(PAIRS))


def test_a_run_can_record_the_engine(llama: Engine) -> None:
    """Device, dtype, size, window, attention, threads and batch sizes are there, as JSON."""
    described = json.loads(json.dumps(llama.info.description))

    assert {"engine": "local", "device": "cpu", "dtype": "float32", "threads": 1, "max_length": 256} == {
        key: described[key] for key in ("engine", "device", "dtype", "threads", "max_length")
    }
    assert {"parameters", "attention", "architecture", "pass_tokens", "pass_scored", "batch_rows"} < set(
        described
    )


def test_more_rows_keep_a_processor_busy_in_a_narrow_format(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small model's rows are as many in any format."""
    formats = ("float32", "bfloat16")
    small = [_open(llama_folder, dtype=dtype).info.description["batch_rows"] for dtype in formats]
    monkeypatch.setattr(network, "SMALL", 0)
    large = [_open(llama_folder, dtype=dtype).info.description["batch_rows"] for dtype in formats]
    assert ([256, 256], [64, 128]) == (small, large)


def test_threads_are_left_as_they_were(llama: Engine) -> None:
    """A small model runs on one thread without taking the others from the rest of the process."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    _scores(llama, PAIRS)
    after = torch.get_num_threads()
    torch.set_num_threads(before)

    assert 2 == after


def test_a_classifier_is_no_language_model(tmp_path: Path) -> None:
    """A reward model's folder would get a random vocabulary head: refused."""
    folder = tiny_llama(tmp_path / "reward")
    config = LlamaConfig.from_pretrained(folder, num_labels=1)
    LlamaForSequenceClassification(config).save_pretrained(folder)

    with pytest.raises(ModelError, match="a classifier"):
        _open(folder)


def test_missing_weights_are_not_invented(tmp_path: Path) -> None:
    """Weights the file lacks would be random: refused, naming one."""
    folder = tiny_llama(tmp_path / "taller")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))

    with pytest.raises(ModelError, match=r"weights are missing and would be random, such as model.layers.2"):
        _open(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"model_type": "no_such_model"}, "no_such_model"), ({"hidden_size": 40}, "cannot load it")],
)
def test_what_transformers_cannot_load_is_a_model_error(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """An unknown architecture, or weights of other shapes, is one error that names the folder."""
    folder = tiny_llama(tmp_path / "strange")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))

    with pytest.raises(ModelError, match=message) as raised:
        _open(folder)
    assert str(folder) in str(raised.value)


def test_a_closed_engine_says_so(llama_folder: Path) -> None:
    """Closing gives the memory back, and asking afterwards is an error."""
    engine = _open(llama_folder)
    engine.close()

    with pytest.raises(EngineError, match="tiny: the engine is closed"):
        list(engine.loglikelihood(PAIRS))


def test_end_text_written_in_ordinary_tokens_is_cut(llama: Engine) -> None:
    """No answer shows the end token's text."""
    assert not [text for text in _texts(llama, TEXTS, SamplingParameters(max_tokens=30)) if EOS in text]


def test_nothing_asked_is_nothing_answered(llama: LocalEngine) -> None:
    """Empty requests are no error."""
    assert [] == list(llama.loglikelihood([]))
    assert [] == list(llama.generate([], SamplingParameters(max_tokens=1)))

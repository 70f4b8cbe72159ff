"""The local engine against lm-eval's own `hf` backend: same model, same requests, same numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from harness.engine.local.engine import LocalEngine
from harness.engine.opening import open_engine
from harness.protocols import Engine
from harness.records.answers import Message, Prompt, SamplingParameters
from harness.records.models import Local, Model
from tests.tiny_models import BOS, EOS, TURN_START, tiny_gemma3, tiny_gpt2, tiny_llama, tiny_qwen2

BUILDERS = {
    "llama, BOS, template": lambda folder: tiny_llama(folder, bos=True, chat_template=True),
    "llama, neither": lambda folder: tiny_llama(folder, bos=False, chat_template=False),
    "qwen2, template": lambda folder: tiny_qwen2(folder, bos=False, chat_template=True),
    "gemma3, sliding window": lambda folder: tiny_gemma3(folder, bos=True, chat_template=True),
    "gpt2, learned positions": lambda folder: tiny_gpt2(folder, bos=False, chat_template=False),
}

PREAMBLE = "Question: What is the capital of France?\nAnswer: The capital of France is Paris.\n\n"

PAIRS = [
    *(
        (PREAMBLE + "Question: Can people fly?\nAnswer:", choice)
        for choice in (" No.", " Yes, they can", " é")
    ),
    ("", "No, people cannot fly."),
    ("", BOS + "The dog"),
    ("", BOS),
    (BOS + "The quick brown", " fox jumps"),
    ("The quick brown ", "fox jumps"),
    ("The quick brown  \n", "fox"),
    ("Can people f", "zy"),
    ("word " * 400, "done, and the dog sleeps"),
    ("a", " " + "dog " * 100),
]
"""Shared preambles, an empty context, BOS written out, trailing spaces, a cut word, too long a context."""

PROMPTS = [
    "Write two sentences about a tool.",
    "",
    BOS + "The quick brown fox",
    "No",
    "a hammer, a nail, " * 60,
]


@pytest.fixture(scope="module", params=BUILDERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of each kind of model."""
    return BUILDERS[request.param](tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    """Ours, batched."""
    opened = open_engine(Model(name="tiny", source=Local(path=str(folder))), device="cpu")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def peer(folder: Path) -> HFLM:
    """lm-eval's, one request at a time: its batches of prompts share the first one's BOS rule."""
    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1)


def _instance(kind: Any, arguments: tuple[Any, ...]) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


def _peer_texts(peer: HFLM, prompts: list[str], max_tokens: int, until: list[str]) -> list[str]:
    settings = {"until": until, "max_gen_toks": max_tokens, "do_sample": False, "temperature": 0.0}
    return peer.generate_until(
        [_instance("generate_until", (prompt, settings)) for prompt in prompts], disable_tqdm=True
    )


def _texts(engine: Engine, prompts: list[str], max_tokens: int, until: list[str]) -> list[str]:
    sampling = SamplingParameters(max_tokens=max_tokens, stop=tuple(until))
    answers = dict(engine.generate([Prompt(content=prompt) for prompt in prompts], sampling))
    return [answers[index].text for index in range(len(prompts))]


def test_log_likelihoods_and_greedy_flags_agree(engine: Engine, peer: HFLM) -> None:
    """Every pair has lm-eval's log-likelihood within 1e-4 and its is_greedy, with all rules of tokenising."""
    pairs = [pair for pair in PAIRS if pair != ("", BOS) or peer.tokenizer.bos_token is None]

    expected = peer.loglikelihood([_instance("loglikelihood", pair) for pair in pairs], disable_tqdm=True)
    answers = dict(engine.loglikelihood(pairs))

    for index, (logprob, greedy) in enumerate(expected):
        assert pytest.approx(logprob, abs=1e-4) == answers[index].logprob, pairs[index]
        assert greedy == answers[index].greedy, pairs[index]


def test_a_greedy_continuation_is_recognised(engine: Engine, peer: HFLM) -> None:
    """A continuation that the model itself would write is greedy for both."""
    context = "The capital of France"
    written = _texts(engine, [context], 1, [])[0]

    expected = peer.loglikelihood([_instance("loglikelihood", (context, written))], disable_tqdm=True)
    answers = dict(engine.loglikelihood([(context, written)]))

    assert expected[0][1] == answers[0].greedy


@pytest.mark.parametrize("until", [[], ["e", "ing ", "\n\n"]])
def test_greedy_generations_are_identical(engine: Engine, peer: HFLM, until: list[str]) -> None:
    """Texts equal lm-eval's, with and without stop strings, for prompts that fit and prompts that do not."""
    prompts = [prompt for prompt in PROMPTS if prompt or peer.tokenizer.bos_token]

    expected = [_peer_texts(peer, [prompt], 24, until)[0] for prompt in prompts]

    assert expected == _texts(engine, prompts, 24, until)


def test_a_stop_string_of_the_models_own_text_is_cut_exactly(engine: Engine, peer: HFLM) -> None:
    """A stop string from the middle of an answer, spanning tokens, cuts it where lm-eval cuts it."""
    prompt = "Write two sentences about a tool."
    whole = _texts(engine, [prompt], 24, [])[0]
    stop = whole[5:8]

    assert _peer_texts(peer, [prompt], 24, [stop]) == _texts(engine, [prompt], 24, [stop])
    assert whole.split(stop)[0] == _texts(engine, [prompt], 24, [stop])[0]


def test_windows_agree(engine: LocalEngine, peer: HFLM) -> None:
    """The model's window is found as lm-eval finds it."""
    assert peer.max_length == engine.info.description["max_length"]


def test_rendered_turns_agree_and_never_double_bos(engine: Engine, peer: HFLM) -> None:
    """Turns render as in lm-eval, and what a template begins with BOS gets no second BOS."""
    if engine.info.chat_template is None:
        pytest.skip("this model has no chat template")
    turns = [Message(role="user", content="Name a tool."), Message(role="assistant", content="A saw")]
    chat = [{"role": turn.role, "content": turn.content} for turn in turns]

    opened = engine.render(turns[:1])
    continued = engine.render(turns, open_turn=False)

    assert peer.apply_chat_template(chat[:1]) == opened
    assert peer.apply_chat_template(chat, add_generation_prompt=False) == continued
    assert TURN_START in opened
    assert _peer_texts(peer, [opened], 20, []) == _texts(engine, [opened], 20, [])
    answer = dict(engine.generate([Prompt(content=tuple(turns[:1]))], SamplingParameters(max_tokens=20)))[0]
    assert _texts(engine, [opened], 20, [])[0] == answer.text
    assert len(peer.tok_encode(opened)) == answer.prompt_tokens


def test_what_a_tokenizer_appends_is_left_off_here_and_not_there(tmp_path: Path) -> None:
    """The one place where numbers differ on purpose.

    A tokenizer with `add_eos_token`, as some fine-tunes have, ends every text. lm-eval asks with the
    end, so that a model goes on after it; and takes a continuation for what the whole has more than the
    context, which is then off by a token: the continuation's first one is left out, and the end scored.
    """
    appending = [tiny_llama(tmp_path / name, chat_template=False) for name in ("plain", "appending")][1]
    tokenizer = AutoTokenizer.from_pretrained(appending)
    special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (BOS, EOS)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A {EOS}", pair=f"{BOS} $A $B {EOS}", special_tokens=special
    )
    tokenizer.save_pretrained(appending)
    pairs = [("The quick", " brown fox"), ("", "The dog"), (BOS + "No", ", people")]
    engines = [
        open_engine(Model(name=name, source=Local(path=str(tmp_path / name))), device="cpu")
        for name in ("plain", "appending")
    ]
    theirs = HFLM(pretrained=str(appending), device="cpu", dtype="float32", batch_size=1)

    expected, ours = (dict(engine.loglikelihood(pairs)) for engine in engines)
    peers = theirs.loglikelihood([_instance("loglikelihood", pair) for pair in pairs], disable_tqdm=True)

    assert expected == ours
    assert _texts(engines[0], ["The quick", ""], 8, []) == _texts(engines[1], ["The quick", ""], 8, [])
    assert abs(peers[0][0] - ours[0].logprob) > 0.1
    assert EOS == theirs.tokenizer.decode(theirs.tok_encode("The quick")[-1:])

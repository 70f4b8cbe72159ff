"""Engines asked as a model's section says, whose answers come without their thoughts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from harness.engine import identity
from harness.engine.identity import Identity, as_asked
from harness.engine.local import decoding
from harness.engine.opening import identify_model, open_engine, open_reward_model, without_weights
from harness.engine.services.openai_answers import response_of
from harness.engine.thinking import ThinkingEngine
from harness.errors import ModelError, UsageError
from harness.protocols import SERVED_TEMPLATE
from harness.records.answers import Message, Prompt, Response, SamplingParameters
from harness.records.models import Endpoint, Gemini, Local, Model, Plugin
from harness.thoughts import ENDED_WITHIN
from tests.serving import Asked, Fault, ModelServer, status
from tests.suites.scripted import FunctionEngine, says
from tests.tiny_models import EOS, thinking_llama, tiny_llama

SHORT = SamplingParameters(max_tokens=8)
HELLO = Prompt(content=(Message(role="user", content="Hello"),))
SERVED = Endpoint(url="http://localhost/v1", model="m")


def around(engine: FunctionEngine, source: Any = SERVED, **asked: Any) -> ThinkingEngine:
    """The engine as `open_engine` gives it for a model with this section."""
    return ThinkingEngine(engine, Model(name="m", source=source, **asked), "f")


def answer(engine: Any, prompt: Prompt = HELLO, sampling: SamplingParameters = SHORT) -> Response:
    """The one answer to one prompt."""
    [(index, found)] = engine.generate([prompt], sampling)
    assert index == 0
    return found


# ---------------------------------------------------------------- any engine


def test_the_system_prompt_comes_first() -> None:
    """In the conversation's own system turn, where it has one; never before a bare text."""
    inner = FunctionEngine(chat_template=SERVED_TEMPLATE)
    engine = around(inner, system="Be brief.")
    own = Prompt(content=(Message(role="system", content="Be kind."), *HELLO.content))  # type: ignore[misc]
    for prompt in (HELLO, own, Prompt(content="bare")):
        answer(engine, prompt)

    system = Message(role="system", content="Be brief.")
    first, second, bare = (prompt.content for prompt in inner.prompts)
    assert (system, *HELLO.content) == first
    assert Message(role="system", content="Be brief.\n\nBe kind.") == second[0]
    assert ("bare", 2) == (bare, len(second))


def test_a_template_that_leaves_system_turns_out_is_no_way_to_put_one() -> None:
    """What would change nothing is refused, with the setting."""

    class Deaf(FunctionEngine):
        def render(self, messages: Any, *, open_turn: bool = True) -> str:
            return super().render(messages[-1:], open_turn=open_turn)

    engine = around(Deaf(chat_template="t"), Local(path="p"), system="Be brief.")
    with pytest.raises(ModelError, match="leaves system turns out, so that `system` would change nothing"):
        answer(engine)


def test_a_model_that_takes_no_turns_has_no_system_prompt() -> None:
    """It is found before anything is loaded."""
    model = Model(name="m", source=Local(path="p"), system="Be brief.")
    with pytest.raises(ModelError, match="'m': `system` precedes turns, and the model has no chat templ"):
        as_asked(Identity(fingerprint="f", chat_template=None), model)


def test_a_model_that_thinks_is_asked_without_stop_strings() -> None:
    """They cut its answer here, and it has room for its thoughts beside the suite's length."""
    inner = FunctionEngine(answer=lambda prompt: says("One.\n\nTwo.\n</think>\nParis\n\nRome"))
    inner.chat_template = SERVED_TEMPLATE
    engine = around(inner, thinking=True, thinking_tokens=100)

    found = answer(engine, sampling=replace(SHORT, stop=("\n\n",)))

    assert [SamplingParameters(max_tokens=108)] == inner.samplings
    assert ("Paris", "One.\n\nTwo.", "end") == (found.text, found.thought, found.stop_reason)


def test_a_thought_that_a_stop_string_ended_is_asked_again_without() -> None:
    """Of a model that nobody said thinks; what both requests cost is counted."""
    whole = "<think>One.\n\nTwo.</think>\n\nParis\n\nRome"

    def cut(prompt: Prompt) -> Response:
        text = whole if not inner.samplings[-1].stop else whole.split("\n\n")[0]
        return Response(text=text, stop_reason="end", completion_tokens=5)

    inner = FunctionEngine(answer=cut, chat_template=SERVED_TEMPLATE)

    found = answer(around(inner), sampling=replace(SHORT, stop=("\n\n",)))

    assert [("\n\n",), ()] == [sampling.stop for sampling in inner.samplings]
    assert ("Paris", "end", 10) == (found.text, found.stop_reason, found.completion_tokens)


def test_an_answer_that_a_stop_string_ended_is_asked_once() -> None:
    """Only thoughts are asked again."""
    inner = FunctionEngine(
        answer=lambda prompt: says("<think>One.</think>Paris"), chat_template=SERVED_TEMPLATE
    )
    assert "Paris" == answer(around(inner), sampling=replace(SHORT, stop=("\n",))).text
    assert 1 == len(inner.prompts)


def test_a_plugin_answers_without_its_thoughts() -> None:
    """A third party's engine need know nothing of them."""
    inner = FunctionEngine(answer=lambda prompt: says("<think>One."), chat_template="lines")
    found = answer(around(inner, Plugin(engine="e")))
    assert ("", f"thinking: {ENDED_WITHIN}") == (found.text, found.unanswered)


def test_choices_are_scored_after_a_thought_that_is_closed() -> None:
    """Where the context opens one, and nowhere else; each pair keeps its place."""
    inner = FunctionEngine()
    pairs = [("<a>\n<think>\n", "yes"), ("Is it?", " no"), ("<a>\n<think>\n", "no")]
    assert {0, 1, 2} == {index for index, _ in around(inner).loglikelihood(pairs)}
    closed = "<a>\n<think>\n\n</think>\n\n"
    assert [(closed, "yes"), ("Is it?", " no"), (closed, "no")] == inner.pairs


@pytest.mark.parametrize(
    "asked",
    [
        {"thinking": True},
        {"thinking": False},
        {"template_arguments": {"date": "x"}},
        {"system": "Be brief."},
        {"thinking_tokens": 9},
        {"thinking_tags": ("<a>", "</a>")},
    ],
    ids=str,
)
def test_how_a_model_is_asked_is_a_part_of_what_it_is(asked: Mapping[str, Any]) -> None:
    """Each setting makes other answers; none leaves the fingerprint as it was."""
    plain, other = (Model(name="m", source=SERVED, **each) for each in ({}, asked))
    identity = Identity(fingerprint="f", chat_template=SERVED_TEMPLATE)
    assert identity == as_asked(identity, plain)
    assert "f" != as_asked(identity, other).fingerprint
    assert (
        identify_model(other).fingerprint
        == open_engine(other).info.fingerprint
        != identify_model(plain).fingerprint
    )
    assert asked.items() <= open_engine(other).info.description.items()


# ---------------------------------------------------------------- servers


def test_a_server_is_reported_how_to_render_turns() -> None:
    """`chat_template_kwargs` go with turns, and with no text."""
    with ModelServer() as server:
        model = Model(
            name="m",
            source=Endpoint(url=server.url, model="m"),
            thinking=False,
            template_arguments={"date": "today"},
        )
        engine = open_engine(model)
        answer(engine)
        answer(engine, Prompt(content="bare"))
    turns, bare = (asked.body for asked in server.asked)
    assert {"enable_thinking": False, "thinking": False, "date": "today"} == turns["chat_template_kwargs"]
    assert "chat_template_kwargs" not in bare


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize(
    ("content", "reason", "text", "stopped"),
    [
        ("Paris", "stop", "Paris", "end"),
        (None, "length", "", "thinking"),
        ("", "length", "", "thinking"),
        (None, "stop", "", "thinking"),
    ],
)
def test_a_server_that_sets_thoughts_apart(
    field: str, content: str | None, reason: str, text: str, stopped: str
) -> None:
    """Its field is the thought, whatever it is called; without content there is no answer."""
    choice = {"message": {"content": content, field: "One."}, "finish_reason": reason}

    def wrong(asked: Asked) -> Fault:
        return Fault(body=json.dumps({"choices": [choice]}).encode())

    with ModelServer(wrong=wrong) as server:
        found = answer(open_engine(Model(name="m", source=Endpoint(url=server.url, model="m"))))
    assert (text, "One.", stopped) == (found.text, found.thought, found.stop_reason)


def cut_thinker(asked: Asked) -> Fault:
    """A server whose template opens a thought, that sets nothing apart, and that runs out of tokens."""
    is_short = asked.text == "Say yes."
    text = "He wants a yes.\n</think>\n\nYes." if is_short else "Paris or Rome, let me"
    choice = {"message": {"content": text}, "finish_reason": "stop" if is_short else "length"}
    return Fault(body=json.dumps({"choices": [choice], "usage": {"prompt_tokens": 1}}).encode())


def cut_talker(asked: Asked) -> Fault:
    """A server whose model does not think, and is cut."""
    choice = {"message": {"content": "Paris is"}, "finish_reason": "length"}
    return Fault(body=json.dumps({"choices": [choice], "usage": {"prompt_tokens": 1}}).encode())


@pytest.mark.parametrize(
    ("wrong", "stopped", "text"),
    [(cut_thinker, "thinking", ""), (cut_talker, "length", "Paris is")],
    ids=["thinks", "does not"],
)
def test_a_cut_text_without_tags_is_reported_by_something_short(
    wrong: Callable[[Asked], Fault], stopped: str, text: str
) -> None:
    """Whether a server's texts begin within a thought is asked once, paid, and nobody need configure it."""
    with ModelServer(wrong=wrong) as server:
        engine = open_engine(Model(name="m", source=Endpoint(url=server.url, model="m")))
        found = [answer(engine, Prompt(content=(Message(role="user", content=f"{n}?"),))) for n in range(3)]
    assert [(stopped, text)] * 3 == [(each.stop_reason, each.text) for each in found]
    assert 1 == sum(asked.text == "Say yes." for asked in server.asked)
    assert [2, 1, 1] == [each.prompt_tokens for each in found]


@pytest.mark.parametrize("refuses", [True, False], ids=["refused", "cut itself"])
def test_what_shows_nothing_is_asked_once(refuses: bool) -> None:
    """A server that refuses so many tokens, or whose short answer is cut too: its cut answers are answers."""

    def wrong(asked: Asked) -> Fault:
        if refuses and asked.body["max_tokens"] > 1000:
            return status(400, "too many tokens")
        return cut_talker(asked)

    with ModelServer(wrong=wrong) as server:
        engine = open_engine(Model(name="m", source=Endpoint(url=server.url, model="m")))
        found = [answer(engine, Prompt(content=(Message(role="user", content=f"{n}?"),))) for n in range(3)]
        looks = [asked for asked in server.asked if asked.body["max_tokens"] > 1000]
    assert [("length", "Paris is")] * 3 == [(each.stop_reason, each.text) for each in found]
    assert 1 + refuses == len(looks), "where it is refused, the short text is tried as well"


def test_what_a_section_says_is_not_looked_for() -> None:
    """Tags that it names are believed: nothing else is asked, and a text cut before them is a thought."""
    with ModelServer(wrong=cut_talker) as server:
        source = Endpoint(url=server.url, model="m")
        found = answer(open_engine(Model(name="m", source=source, thinking_tags=("<a>", "</a>"))))
    assert ("thinking", 1) == (found.stop_reason, len(server.asked))


def test_one_stray_tag_makes_no_thoughts_of_other_answers() -> None:
    """A model that does not think wrote a closing tag; what is cut later is cut."""
    texts = iter(["An answer.\n</think>\n", "Paris is"])
    inner = FunctionEngine(answer=lambda prompt: Response(text=next(texts), stop_reason="length"))
    engine = around(inner, source=Gemini(model="m"))
    answer(engine)
    assert ("Paris is", "length") == (answer(engine).text, "length")


def test_a_known_thinker_speaks_of_no_tags() -> None:
    """Where the section says that it thinks, a closing tag ends the thought wherever it stands."""
    inner = FunctionEngine(answer=lambda prompt: says("So we close with </think> and Paris"))
    assert "and Paris" == answer(around(inner, thinking=True)).text


def test_room_for_thoughts_makes_no_thought_of_a_cut_answer() -> None:
    """A service that keeps its thoughts to itself, as Gemini does, is given room; its texts are answers."""
    inner = FunctionEngine(answer=lambda prompt: Response(text="Here are three", stop_reason="length"))
    found = answer(around(inner, source=Gemini(model="m"), thinking_tokens=4096))
    assert ("Here are three", "length", None) == (found.text, found.stop_reason, found.thought)


@pytest.mark.parametrize("thinking", ["One.", [{"type": "text", "text": "One."}]])
@pytest.mark.parametrize(
    ("rest", "stopped"), [([{"type": "text", "text": "Paris"}], "end"), ([], "thinking")]
)
def test_a_thought_among_the_parts_of_a_content(thinking: Any, rest: list[Any], stopped: str) -> None:
    """As Mistral's servers set it apart; without a part that is text there is no answer."""
    message = {"content": [{"type": "thinking", "thinking": thinking}, *rest]}
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    found = response_of(body, SamplingParameters(max_tokens=9))
    assert ("Paris" if rest else "", "One.", stopped) == (found.text, found.thought, found.stop_reason)


# ---------------------------------------------------------------- models on this machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose template opens the thought, and whose tags are special tokens."""
    return thinking_llama(tmp_path_factory.mktemp("thinking") / "m")


def writing(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, **asked: Any) -> Any:
    """The model's engine, which now writes this text whatever its weights say."""
    tokens = AutoTokenizer.from_pretrained(folder)(text + EOS, add_special_tokens=False)["input_ids"]
    choose = decoding.TokenChooser._choose

    def scripted(self: Any, scores: Any) -> Any:
        chosen = choose(self, scores)
        for place, row in enumerate(self.rows):
            row.new[-1] = chosen[place] = tokens[len(row.new) - 1]
        return chosen

    monkeypatch.setattr(decoding.TokenChooser, "_choose", scripted)
    return open_engine(Model(name="m", source=Local(path=str(folder)), **asked), device="cpu")


@pytest.mark.parametrize(
    "text",
    [
        "One.\n\nTwo, three, four.</think>\n\nA hammer drives nails",
        "<think>One.\n\nTwo, three, four.</think>\n\nA hammer drives nails",
        "<|channel|>analysis<|message|>One.\n\nTwo, three, four.<|end|><|start|>assistant<|channel|>final"
        "<|message|>A hammer drives nails",
    ],
)
def test_a_local_model_answers_without_its_thought(
    monkeypatch: pytest.MonkeyPatch, folder: Path, text: str
) -> None:
    """Though its tags are special tokens, and though stop strings of the suite stand in the thought."""
    turns = HELLO if text.startswith("One") else Prompt(content="Hello")
    found = answer(
        writing(monkeypatch, folder, text), turns, SamplingParameters(max_tokens=100, stop=("\n\n", " nails"))
    )
    assert ("A hammer drives", "end") == (found.text, found.stop_reason)
    assert "One.\n\nTwo, three, four." == found.thought


def test_an_answer_has_its_own_length(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """`thinking_tokens` is room for thoughts: an answer is no longer for it, and ends where others end."""
    thought = "One. Two, three, four. " * 3
    text = f"{thought}</think>\n\nA hammer drives nails. It is heavy, and the dog sleeps on."
    engine = writing(monkeypatch, folder, text, thinking_tokens=150)
    found = answer(engine, sampling=SamplingParameters(max_tokens=6))
    assert ("length", thought.strip()) == (found.stop_reason, found.thought)
    assert found.text
    assert "A hammer drives nails. It is heavy".startswith(found.text)
    assert found.completion_tokens < 150

    plain = writing(monkeypatch, folder, "</think>A hammer drives nails. It is heavy, and the dog sleeps.")
    assert found.text == answer(plain, sampling=SamplingParameters(max_tokens=7)).text


def test_a_local_thought_that_is_cut(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Without a tag in its text, since its template opened it."""
    found = answer(writing(monkeypatch, folder, "One, two, three.\n\nFour, five, six."), sampling=SHORT)
    assert ("", "thinking") == (found.text, found.stop_reason)
    assert found.thought
    assert "its tokens ran out" in str(found.unanswered)


def test_a_thought_is_closed_where_thinking_is_off(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The template has no switch: its thought is closed in the prompt, and the run says so."""
    engine = writing(monkeypatch, folder, "A hammer", thinking=False)
    assert ("A hammer", None) == ((found := answer(engine)).text, found.thought)
    assert "closed empty" == engine.info.description["template_thought"]


def test_choices_of_a_local_model_are_never_thoughts(folder: Path) -> None:
    """They are scored as after a closed thought, by an engine that renders as its unloaded twin does."""
    model = Model(name="m", source=Local(path=str(folder)), system="Be brief.")
    engine = open_engine(model, device="cpu")
    absent = without_weights(model, identify_model(model), {"engine": "local"})
    context = engine.render(HELLO.content)  # type: ignore[arg-type]
    assert context == absent.render(HELLO.content)  # type: ignore[arg-type]
    assert context.endswith("<think>\n")
    assert engine.info.fingerprint == absent.info.fingerprint
    pairs = [(context, "yes"), (context.rstrip() + "\n\n</think>\n\n", "yes")]
    (_, left), (_, right) = sorted(engine.loglikelihood(pairs), key=lambda found: found[0])
    assert left.logprob == right.logprob
    assert "opened, and closed empty before choices are scored" == engine.info.description["template_thought"]
    assert {"engine": "local"} == absent.info.description


def test_models_that_may_think_have_another_fingerprint(folder: Path, tmp_path: Path) -> None:
    """Answers that were kept before thoughts were set apart serve no new run; other models keep theirs."""
    thinker = Model(name="m", source=Local(path=str(folder)))
    plain = Model(name="m", source=Local(path=str(tiny_llama(tmp_path / "plain"))))
    before = {model.source.path: identify_model(model).fingerprint for model in (thinker, plain)}  # type: ignore[union-attr]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(identity, "THOUGHTS_VERSION", 0)
        changed = [
            path
            for path, found in before.items()
            if found != identify_model(Model(name="m", source=Local(path=path))).fingerprint
        ]
    assert [str(folder)] == changed


def test_a_reward_model_is_asked_nothing(tmp_path: Path) -> None:
    """So how it would be asked is refused, by its key."""
    model = Model(name="r", source=Local(path=str(tmp_path)), thinking=True)
    with pytest.raises(UsageError, match=r"leave thinking out of \[models\.r\]"):
        open_reward_model(model)

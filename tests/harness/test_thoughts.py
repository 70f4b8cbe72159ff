"""What of a text is thought and what is answer, and what a prompt leaves open."""

import pytest

from harness.records.answers import Response
from harness.records.models import Local, Model
from harness.thoughts import (
    ENDED_WITHIN,
    KNOWN,
    OUT_OF_TOKENS,
    Tags,
    closed,
    cut_within,
    left_open,
    separate_thought,
    split_thought,
    tags_of,
    template_arguments,
)

HARMONY = (
    "<|channel|>analysis<|message|>He asks.<|end|>"
    "<|start|>assistant<|channel|>final<|message|>Paris<|return|>"
)
OPEN_CHANNEL = "<|channel|>analysis<|message|>"
TOOL = (
    "<|channel|>commentary to=functions.map <|constrain|>json<|message|>{}<|call|>"
    "<|start|>assistant<|channel|>final<|message|>Paris"
)


@pytest.mark.parametrize(
    ("text", "opened", "answer", "thought"),
    [
        ("<think>\nA capital?\n</think>\n\nParis", "", "Paris", "A capital?"),
        ("\n <think>A capital?</think>Paris\n", None, "Paris\n", "A capital?"),
        ("A capital?\n</think>\n\nParis", "<think>", "Paris", "A capital?"),
        ("A capital?\n</think>\n\nParis", None, "Paris", "A capital?"),
        ("A capital? </think>\nParis", None, "Paris", "A capital?"),
        ("A capital?</think>Paris", None, "Paris", "A capital?"),
        ("It is a capital. </think> Paris", None, "Paris", "It is a capital."),
        ("<think>One.</think>\n<think>Two.</think>\nParis", "", "Paris", "One.\n\nTwo."),
        ("<think>\n\n</think>\n\nParis", "", "Paris", None),
        ("[THINK]A?[/THINK]Paris", "", "Paris", "A?"),
        ("<|START_THINKING|>A?<|END_THINKING|>Paris", "", "Paris", "A?"),
        ("<|channel>thought\nA?<channel|>Paris", "", "Paris", "A?"),
        (HARMONY, "", "Paris", "He asks."),
        ("<|start|>assistant" + HARMONY, "", "Paris", "He asks."),
        (HARMONY.removeprefix(OPEN_CHANNEL), OPEN_CHANNEL, "Paris", "He asks."),
        ("Paris", "<|channel|>final<|message|>", "Paris", None),
        (TOOL, "", "Paris", "{}"),
    ],
)  # fmt: skip
def test_the_answer_stands_after_the_thoughts(
    text: str, opened: str | None, answer: str, thought: str | None
) -> None:
    """Thoughts that begin a text, or that its prompt opened, are none of it, however they are marked."""
    parted = split_thought(text, opened=opened)
    assert (answer, thought, True) == (parted.answer, parted.thought, parted.ended)


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("<think>\nA capital?", ""),
        ("A capital?", "<think>"),
        ("<think>One.</think><think>Two.", ""),
        ("<|channel|>analysis<|message|>He asks", ""),
        ("<|channel|>commentary to=functions.map<|message|>{}<|call|>", ""),
    ],
)
def test_a_thought_that_never_ended_leaves_no_answer(text: str, opened: str) -> None:
    """Nothing of it is an answer, and all of it is kept as thought."""
    parted = split_thought(text, opened=opened)
    assert ("", False) == (parted.answer, parted.ended)
    assert parted.thought


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("Paris", None),
        (" Paris\n\n", ""),
        ("Write <think> first, then close it.", None),
        ("In such a prompt, close with a </think> tag.", None),
        ("The tag `</think>` ends it.", None),
        ("Write <think> and </think> around it.", None),
        ("The tag </think> closes it.", ""),
        ("Paris.\n<think>Right?</think>", None),
        ("A <|channel|> is a mark.", None),
        ("", None),
    ],
)
def test_an_answer_without_a_thought_is_the_text(text: str, opened: str | None) -> None:
    """White space and all, also where it speaks of tags."""
    parted = split_thought(text, opened=opened)
    assert (text, None, True) == (parted.answer, parted.thought, parted.ended)


def test_a_section_names_other_tags() -> None:
    """They count beside the known ones."""
    model = Model(name="m", source=Local(path="p"), thinking_tags=("<reflect>", "</reflect>"))
    tags = tags_of(model)
    assert "Paris" == split_thought("<reflect>A?</reflect>Paris", tags=tags).answer
    assert "Paris" == split_thought("<think>A?</think>Paris", tags=tags).answer
    assert "<reflect>" == left_open("user: hi\n<reflect>\n", tags)
    assert (Tags("<reflect>", "</reflect>"), *KNOWN) == tags


@pytest.mark.parametrize(
    ("context", "opened", "after"),
    [
        ("<a>\n<think>\n", "<think>", "<a>\n<think>\n\n</think>\n\n"),
        ("<a>[THINK]", "[THINK]", "<a>[THINK]\n\n[/THINK]\n\n"),
        ("<|start|>assistant", "", "<|start|>assistant<|channel|>final<|message|>"),
        (
            "<|channel|>analysis<|message|>",
            "<|channel|>analysis<|message|>",
            "<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>",
        ),
        ("<|channel|>final<|message|>", "<|channel|>final<|message|>", "<|channel|>final<|message|>"),
        ("<a>\n<think>\n\n</think>\n\n", "", "<a>\n<think>\n\n</think>\n\n"),
        ("Explain <think> tags.\n", "", "Explain <think> tags.\n"),
    ],
)
def test_a_prompt_is_closed_before_an_answer(context: str, opened: str, after: str) -> None:
    """What a template opens is closed, empty; every other prompt stays as it is."""
    assert (opened, after) == (left_open(context), closed(context))


def test_stop_strings_cut_the_answer_and_no_thought() -> None:
    """Within a thought they mean nothing, and white space after it is no answer yet."""
    response = Response(text="<think>One.\n\nTwo.</think>\n\nParis\n\nRome", stop_reason="length")
    found = separate_thought(response, stop=("\n\n",))
    assert ("Paris", "One.\n\nTwo.", "end") == (found.text, found.thought, found.stop_reason)
    assert found == separate_thought(found, stop=("\n\n",))


@pytest.mark.parametrize(
    ("text", "ended", "reason"),
    [
        ("<think>One.", "length", OUT_OF_TOKENS),
        ("<think>One.", "end", ENDED_WITHIN),
        ("<think>One.</think>\n", "length", OUT_OF_TOKENS),
    ],
)
def test_what_has_no_answer_says_why(text: str, ended: str, reason: str) -> None:
    """It is unanswered, as a refusal is, so that nothing scores it."""
    found = separate_thought(
        Response(text=text, stop_reason="length" if ended == "length" else "end", completion_tokens=9)
    )
    assert ("", "thinking", "One.", 9) == (
        found.text,
        found.stop_reason,
        found.thought,
        found.completion_tokens,
    )
    assert f"thinking: {reason}" == found.unanswered


def test_what_was_refused_stays_refused() -> None:
    """Whatever a third party's engine leaves in its text."""
    refused = Response(text="<think>No", stop_reason="refused", reason="policy")
    assert refused == separate_thought(refused)


def test_a_cut_text_of_a_model_that_thinks() -> None:
    """Where a server's template may have opened the thought, a text that was cut without a tag is one."""
    cut = Response(text="One, two", stop_reason="length")
    assert "thinking" == separate_thought(cut, thinks=True).stop_reason
    assert "length" == separate_thought(cut).stop_reason
    assert "length" == separate_thought(cut, thinks=True, opened="").stop_reason
    assert "end" == separate_thought(Response(text="Paris", stop_reason="end"), thinks=True).stop_reason


def test_a_thought_that_a_server_set_apart() -> None:
    """Its text is the answer, tags and all, and without one it is a thought that was cut."""
    whole = Response(text="Close it by </think>.", thought="One.", stop_reason="end")
    assert whole == separate_thought(whole)
    assert "thinking" == separate_thought(Response(text="", thought="One.", stop_reason="length")).stop_reason
    assert cut_within(Response(text="", thought="One.", stop_reason="end"))
    assert not cut_within(Response(text="", thought="One.", stop_reason="length"))


def test_what_a_template_is_given() -> None:
    """The switch under both of its usual names; what the section names itself comes first."""
    local = Local(path="p")
    assert {} == template_arguments(Model(name="m", source=local))
    off = Model(name="m", source=local, thinking=False, template_arguments={"thinking": True, "date": "x"})
    assert {"enable_thinking": False, "thinking": True, "date": "x"} == template_arguments(off)

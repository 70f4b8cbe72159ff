"""Rows that hold what will be asked: found, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.items import answered, numbers
from trainers.contamination import Index, without_contaminated, word_runs

LETTERS = "a b c d e f g h i j k l m n o p q r s t u v w x y z"
LONG = "Explain in your own words why the sky is blue and why the sea looks blue as well."
"""18 words."""
MIDDLE = "What happens if you crack your knuckles a lot?"
"""9 words."""
SHORT = "Are vampires real?"
"""3 words."""
PROMPTS = {"one": [LONG, MIDDLE], "two": [SHORT]}


@pytest.mark.parametrize(
    ("text", "suite"),
    [
        (LONG, "one"),
        ("Please: EXPLAIN, in your own words, why the sky is blue -- and why the sea?", "one"),
        (f"Answer this question. {MIDDLE} Be brief.", "one"),
        ("are vampires real", "two"),
    ],
)
def test_a_shared_run_of_words_is_found(text: str, suite: str) -> None:
    """13 words of a longer prompt, all words of a shorter one, whatever case and punctuation."""
    found = Index(PROMPTS).find(["Something else.", text])
    assert found is not None
    assert suite == found.suite


@pytest.mark.parametrize(
    "text",
    [
        "Explain in your own words why the sky is blue and why not",  # 12 words of it
        "What happens if you crack your knuckles",
        "I wonder: are vampires real? I think not.",  # three words are no trace of a prompt
        "",
        "…",
    ],
)
def test_less_is_not(text: str) -> None:
    """Twelve words of a long prompt, a part of a shorter one, and everyday words in a longer turn."""
    assert Index(PROMPTS).find([text]) is None


def test_runs_do_not_cross_turns() -> None:
    """Two turns that a prompt would fill together hold none of it."""
    assert Index(PROMPTS).find(["What happens if you crack", "your knuckles a lot?"]) is None


def test_runs_are_all_windows_of_thirteen_words() -> None:
    """26 words have 14; of fewer than 13 words there is one."""
    assert 14 == len(list(word_runs(tuple(LETTERS.split()))))
    assert [("a", "b")] == list(word_runs(("a", "b")))


def test_contaminated_rows_go_with_what_they_share() -> None:
    """Also where an answer holds the prompt; the example shows the words and the whole prompt."""
    rows = [answered(1, "Hi", "Hello"), answered(2, "Repeat.", f"You asked: {MIDDLE}")]
    kept, (left_out,) = without_contaminated(rows, PROMPTS)
    assert [1] == numbers(kept)
    assert "shares words with one" == left_out.why
    expected = f"“what happens if you crack your knuckles a lot” is in its prompt “{MIDDLE}”"
    assert expected == left_out.detail


def test_a_prompt_without_words_contaminates_nothing() -> None:
    """A suite may ask with a sign; a row without words does not hold it."""
    assert Index({"one": ["?"]}).find(["!", "Hi"]) is None


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=16), max_size=4),
    st.lists(st.sampled_from("abc"), max_size=20),
)
def test_what_is_found_is_what_a_search_in_strings_finds(prompts: list[list[str]], said: list[str]) -> None:
    """One pass over the words finds what looking for every run of every prompt in the text finds."""
    text = f" {' '.join(said)} "
    expected = any(
        said == prompt
        if len(prompt) < 5
        else any(f" {' '.join(run)} " in text for run in word_runs(tuple(prompt)))
        for prompt in prompts
    )
    index = Index({"suite": [" ".join(prompt) for prompt in prompts]})
    assert expected == (index.find([" ".join(said)]) is not None)

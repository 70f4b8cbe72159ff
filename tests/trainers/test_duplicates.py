"""Exact and near-duplicates: which rows go, and which stay."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.items import answered, numbers
from trainers.duplicates import alike, shingles, without_duplicates, without_near_duplicates

WORDS = [f"w{number}" for number in range(400)]
LONG = " ".join(WORDS[:60])
"""56 five-grams."""


def test_the_first_of_equal_rows_stays() -> None:
    """Equal but for the white space around its texts; another answer to the same prompt is another row."""
    rows = [answered(1, "Hi", "a"), answered(2, "Hi", "b"), answered(3, " Hi", "a\n"), answered(4, "hi", "a")]
    kept, (left_out,) = without_duplicates(rows)
    assert [1, 2, 4] == numbers(kept)
    assert (3, "row 1 of source 1") == (left_out.number, left_out.detail)


def test_similarity_is_that_of_the_less_similar_part() -> None:
    """Worked by hand: of 3 and 4 five-grams 3 are shared, so 3/4; prompts are equal."""
    one, other = answered(1, "Hi", "a b c d e f g"), answered(2, "hi!", "A b c d e f g, h")
    assert 3 / 4 == alike(shingles(one), shingles(other))


def test_near_duplicates_differ_in_few_words() -> None:
    """One word of 60 is in 1 to 5 of 56 five-grams; another in the middle gives 51/61, above 0.8."""
    changed = LONG.replace("w30 ", "other ")
    rows = [answered(1, LONG, "Yes."), answered(2, changed, "yes"), answered(3, "Something else.", "yes")]
    kept, (left_out,) = without_near_duplicates(rows, 0.8)
    assert [1, 3] == numbers(kept)
    assert left_out.detail.startswith("0.84 like row 1 of source 1")
    assert [1, 2, 3] == numbers(without_near_duplicates(rows, 0.85)[0])


def test_another_answer_to_a_long_prompt_is_no_duplicate() -> None:
    """Prompt and answers are compared each by itself, so a long prompt does not hide a different answer."""
    kept, _ = without_near_duplicates([answered(1, LONG, "yes"), answered(2, LONG, "no")], 0.8)
    assert [1, 2] == numbers(kept)


def test_a_long_system_turn_makes_nothing_alike() -> None:
    """Rows that share one are compared without it, and rows with different ones are different."""
    same = [answered(1, "What is red?", "A cat.", system=LONG), answered(2, "Is it?", "A cat.", system=LONG)]
    assert [1, 2] == numbers(without_near_duplicates(same, 0.8)[0])
    other = [answered(1, LONG, "yes", system="Be kind."), answered(2, LONG, "yes", system="Be rude.")]
    assert [1, 2] == numbers(without_near_duplicates(other, 0.8)[0])
    assert [1, 2] == numbers(without_duplicates(other)[0])


def test_rows_of_an_earlier_source_stay() -> None:
    """The order of the sources decides, and the reason says so."""
    _, (left_out,) = without_near_duplicates([answered(1, LONG, source=0), answered(1, LONG, source=1)], 0.8)
    assert (1, "like a row of an earlier source") == (left_out.source, left_out.why)


@given(st.integers(0, 10_000), st.floats(0.5, 1.0))
def test_what_stays_is_as_an_exact_comparison_of_all_rows_says(seed: int, similarity: float) -> None:
    """No row is removed that is not similar to one that stays; and MinHash finds nearly all that are."""
    random = Random(seed)
    rows = []
    for number in range(12):
        words = WORDS[:40]
        for place in random.sample(range(40), random.choice([0, 1, 2, 8])):
            words[place] = random.choice(WORDS)
        rows.append(answered(number, " ".join(words)))
    kept, left_out = without_near_duplicates(rows, similarity)
    assert {*range(12)} == {*numbers(kept), *(each.number for each in left_out)}
    for each in left_out:
        mine = shingles(rows[each.number])
        assert any(alike(mine, shingles(item)) >= similarity for item in kept if item.number < each.number)


def test_minhash_misses_few() -> None:
    """Of 200 pairs with a similarity just above the threshold, at most one is missed."""
    missed = 0
    for seed in range(200):
        words = Random(seed).sample(WORDS, 60)
        changed = [*words[:30], "other", *words[31:]]
        kept, _ = without_near_duplicates([answered(1, " ".join(words)), answered(2, " ".join(changed))], 0.8)
        missed += len(kept) - 1
    assert missed <= 1


@pytest.mark.parametrize("text", ["", "¿…?"])
def test_texts_without_words_are_compared(text: str) -> None:
    """They have no five-gram but the empty one."""
    assert [1] == numbers(without_near_duplicates([answered(1, text), answered(2, text)], 0.8)[0])

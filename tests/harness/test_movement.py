"""When a stage counts as one that moved almost nothing, and what is said of it."""

import pytest

from harness.movement import Movement, movement, training_warnings


def moved(prompts: int, changed: int, **others: float | None) -> Movement:
    """A movement of which the answers matter."""
    return Movement(
        weights=others.get("weights", 1e-3),
        tensors=10,
        tensors_left_out=0,
        prompts=prompts,
        answers_changed=changed,
        kl=others.get("kl"),
        margin=others.get("margin"),
        seconds=1.0,
    )


@pytest.mark.parametrize(
    ("prompts", "changed", "idle"),
    [
        (32, 0, True),
        (32, 1, True),
        (32, 2, False),
        (20, 1, True),
        (19, 1, False),
        (19, 0, True),
        (0, 0, False),
    ],
)
def test_answers_decide(prompts: int, changed: int, idle: bool) -> None:
    """At most 5 % of at least 20 answers, none of fewer; without answers nothing is said."""
    assert idle == moved(prompts, changed).is_almost_nothing


def test_what_moved_is_said_with_its_evidence() -> None:
    """Answers, weights, and what the kind of stage logs; what was not measured is left out."""
    assert "1 of 32 greedy answers changed; weights changed by 0.0012 %; margin -7e-06" == str(
        moved(32, 1, weights=1.2e-5, margin=-7e-6)
    )
    assert "weights changed by 10 %; KL 9e-08" == str(moved(0, 0, weights=0.1, kl=9e-8))
    assert "2 of 4 greedy answers changed" == str(moved(4, 2, weights=None))


def test_a_finished_stage_is_warned_of_what_it_did_not_do() -> None:
    """An idle stage, and one without signal in more than half of its steps; older manifests have neither."""
    idle = {"moved": {name: getattr(moved(4, 0), name) for name in Movement.__slots__}, "steps": 4}
    assert [
        "this stage moved almost nothing: 0 of 4 greedy answers changed; weights changed by 0.1 %"
    ] == list(training_warnings(idle))
    assert [] == list(training_warnings({"steps": 4, "steps_without_signal": 2}))
    assert ["rewards gave no signal in 3 of 4 steps"] == list(
        training_warnings({"steps": 4, "steps_without_signal": 3})
    )
    assert (None, []) == (movement({"steps": 4}), list(training_warnings({"steps": 4})))

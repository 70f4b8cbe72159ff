"""Who a judge is, and under which keys its replies are kept, may not change by accident.

Stores hold preferences by the rater's id and replies by their key: another id or key asks everything anew.
"""

import pytest

from suites.judge.judges import Judge, requests_about
from suites.judge.jury import jury_of
from suites.judge.reward import RewardJudge
from suites.judge.templates import TEMPLATES
from tests.suites.judge.made import pair, pairwise

REWARD = RewardJudge(name="reward", fingerprint="f", has_turns=True)


@pytest.mark.parametrize(
    ("judge", "rater", "keys"),
    [
        (pairwise(), "judge:judge:c8d49a15", ("a3104ca4", "eb72cb2a")),
        (pairwise(order="one", seed=7, has_turns=False), "judge:judge:84ae3b4c", ("ace15b82",)),
        (
            pairwise(template=TEMPLATES["pairwise"], form="schema", criteria=("honest", "Be kind.")),
            "judge:judge:7d3ad730",
            ("df195f59", "1edc54a5"),
        ),
        (pairwise(form="json"), "judge:judge:5d3557a8", ("ffaa1d2c", "1ff2699c")),
        (REWARD, "judge:reward:fafa2957", ("9c688d66", "29a7276d")),
    ],
)
def test_raters_and_keys(judge: Judge, rater: str, keys: tuple[str, ...]) -> None:
    """The id covers everything that a judge's preferences depend on, and the keys its wording and order."""
    assert rater == judge.rater.id
    assert keys == tuple(key[7:15] for key in requests_about(judge, [pair()]))


def test_juries() -> None:
    """A jury is its members, in whatever order."""
    assert "jury:f79e3963" == jury_of([pairwise().rater, REWARD.rater]).id

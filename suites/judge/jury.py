"""Several judges as one: the majority for each pair of answers, over the orders it was asked in.

The jury's winner has more than half of its judges' usable verdicts, of which there must be at least two;
where nothing has, it is a tie.

Verga et al. 2024, "Replacing Judges with Juries", https://arxiv.org/abs/2404.18796, vote so.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.preferences.named import IDENTICAL, agreed
from harness.records.preferences import NO_ORDER, Pair, Preference, Rater
from suites.judge.judges import preference, rater_of

AT_LEAST = 2
"""Usable verdicts that make a jury."""


def jury_of(members: Sequence[Rater]) -> Rater:
    """The rater that these judges are together, in whatever order they are named."""
    ids = sorted(member.id for member in members)
    return rater_of("jury", "jury", {"members": ids, "order": NO_ORDER})


def jury_preferences(
    jury: Rater, pairs: Sequence[Pair], by_member: Mapping[str, Sequence[Preference]]
) -> list[Preference]:
    """The jury's on every pair that a member was asked about; `by_member` is by the member's id."""
    by_pair: dict[tuple[str, str, str], dict[str, list[Preference]]] = {}
    for member, preferences in by_member.items():
        for each in preferences:
            members = by_pair.setdefault((each.left_run, each.right_run, each.sample), {})
            members.setdefault(member, []).append(each)
    found = ((pair, by_pair.get((pair.left_run, pair.right_run, pair.sample.id))) for pair in pairs)
    return [_preference(jury, pair, list(members.values())) for pair, members in found if members]


def _preference(jury: Rater, pair: Pair, members: Sequence[Sequence[Preference]]) -> Preference:
    if pair.identical:
        return preference(pair, jury, "left", "tie", IDENTICAL)
    verdicts = (agreed(each.winner for each in orders) for orders in members)
    winners = Counter(winner for winner in verdicts if winner is not None)
    if winners.total() < AT_LEAST:
        return preference(
            pair, jury, "left", None, f"usable words of the jury: {winners.total()} of {len(members)}"
        )
    most, votes = winners.most_common(1)[0]
    return preference(pair, jury, "left", most if 2 * votes > winners.total() else "tie")

"""Analyses preferences: which model is preferred, whether that could be chance, and how reliable raters are.

There is a result for each pair of models and each rater, and one for all humans together if there are
several. With more than `FEW_PEOPLE` humans, there are no results for single ones. The sign tests of all
results are one family for Holm's correction. BETTER and WORSE need what they need everywhere: an adjusted p
below 1 - level, and an interval wholly on one side, here of one half.

Judges and humans are treated alike.
"""

from collections.abc import Sequence

from harness.preferences.agreement import agreements, groups
from harness.preferences.named import NamedPreference
from harness.preferences.preference_set import overall
from harness.preferences.ratings import ranked
from harness.preferences.results import Analysis
from harness.preferences.win_rates import against_itself, decided, win_rates
from harness.stats.plan import DEFAULT_PLAN, AnalysisPlan


def analyse(
    preferences: Sequence[NamedPreference],
    plan: AnalysisPlan = DEFAULT_PLAN,
    *,
    baseline: str | None = None,
    baselines: Sequence[str] = (),
) -> Analysis:
    """Everything that these preferences come to; at least one of them.

    `baseline` is one of the models; by default it is the first left one. Of two others, the one among
    `baselines` is the baseline of their pair, else the one that is named first.
    """
    named = dict.fromkeys(name for each in preferences for name in (each.left, each.right))
    models = tuple(dict.fromkeys([baseline or preferences[0].left, *baselines, *named]))
    everything = overall([each for each in preferences if each.left != each.right])
    chosen = everything.pairs(models)
    shared = [everything, *chosen] if len(chosen) > 1 else chosen
    tested = decided([found for each in chosen for found in win_rates(each, plan)], plan)
    itself = overall([each for each in preferences if each.left == each.right]).pairs(models)
    return Analysis(
        baseline=models[0],
        models=models,
        level=plan.level,
        win_rates=(*tested, *(found for each in itself for found in against_itself(each, plan))),
        agreements=tuple(found for each in shared for found in agreements(each, plan)),
        groups=tuple(found for each in shared for found in groups(each, plan)),
        ratings=tuple(ranked(everything, plan)),
    )

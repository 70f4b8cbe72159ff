"""Judgements become an analysis: who is preferred, whether it could be chance, and whom to believe.

Each pair of models and each rater is a finding, and so are all humans together where there are several; of
more than `FEW_PEOPLE`, a crowd, only they are. The sign tests of all findings are one family for Holm's
correction. BETTER and WORSE need what they need everywhere: an adjusted p below 1 - level, and an interval
wholly on one side, here of one half.

Judges and humans are treated alike. It does not know models, prompts or the store: it is given judgements.
"""

from collections.abc import Sequence
from itertools import combinations

from harness.preferences.agreement import agreements, groups
from harness.preferences.findings import Analysis
from harness.preferences.heard import overall
from harness.preferences.judgement import Judgement
from harness.preferences.preferred import decided, findings
from harness.preferences.ranked import ranked
from harness.stats.plan import USUAL, AnalysisPlan


def analyse(
    judgements: Sequence[Judgement], plan: AnalysisPlan = USUAL, *, baseline: str | None = None
) -> Analysis:
    """Everything that these judgements come to; at least one of them.

    `baseline` is one of the models; by default it is the first left one. Of two others, the one that is
    named first is the baseline of their pair.
    """
    named = dict.fromkeys(name for each in judgements for name in (each.left, each.right))
    models = tuple(dict.fromkeys([baseline or judgements[0].left, *named]))
    everything = overall(judgements)
    heard = [everything.between(*pair) for pair in combinations(models, 2)]
    heard = [each for each in heard if each.judgements]
    shared = [everything, *heard] if len(heard) > 1 else heard
    return Analysis(
        baseline=models[0],
        models=models,
        level=plan.level,
        findings=tuple(decided([found for each in heard for found in findings(each, plan)], plan)),
        agreements=tuple(found for each in shared for found in agreements(each, plan)),
        groups=tuple(found for each in shared for found in groups(each, plan)),
        ratings=tuple(ranked(everything, plan)),
    )

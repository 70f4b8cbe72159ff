"""Training rows that contain prompts of an evaluation.

A whole prompt in a row is an error. A shared run of 13 words is a note: among instructions made of common
phrases, as IFEval's and the toy world's are, it can be chance. The caller brings the prompts, and rewordings
are not found (see `trainers.contamination`).
"""

from collections.abc import Iterator, Sequence

from trainers.contamination import RUN, Index, Overlap
from trainers.doctor.findings import DoctorFinding
from trainers.doctor.inspected_stage import Check, InspectedStage
from trainers.duplicates import words


def contamination_check(index: Index) -> Check:
    """A check of rows against the prompts in this index."""

    def check(inspected: InspectedStage) -> Iterator[DoctorFinding]:
        texts = [[*(turn["content"] for turn in prompt), *answers] for prompt, answers in inspected.texts]
        found = [(overlap, row) for row in texts if (overlap := index.find(row)) is not None]
        whole = [overlap for overlap, row in found if _is_whole(overlap, row)]
        if found:
            suites = ", ".join(dict.fromkeys(overlap.suite for overlap, _ in found))
            example = whole[0].prompt if whole else found[0][0].shared
            yield DoctorFinding(
                check="evaluation prompts in the training data",
                severity="error" if whole else "note",
                where=f"{inspected.key}.data",
                evidence=f"of {len(texts)} rows looked at {len(whole)} hold a whole prompt of {suites}, and "
                f"{len(found) - len(whole)} share {RUN} words in a row with one, such as "
                f"“{' '.join(example.split())[:120]}”",
                fix="train on a mix (`[data.NAME]`), which leaves such rows out",
            )

    return check


def _is_whole(overlap: Overlap, row: Sequence[str]) -> bool:
    """Whether one of the row's turns contains all words of the prompt, in order."""
    prompt = f" {' '.join(words(overlap.prompt))} "
    return any(prompt in f" {' '.join(words(text))} " for text in row)

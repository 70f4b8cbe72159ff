"""The seal: a design as canonical JSON, and the SHA-256 of it that is printed before the first vote.

A commitment that was noted down proves later that the sides are those that were drawn: no other design and
nonce give the same hash. The study keeps the hash beside the design, so that a design that was altered in the
store is refused wherever it is opened; against somebody who alters both there is the noted commitment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hmac import compare_digest
from typing import Any

from harness.errors import StoreError, UsageError
from harness.records.models import Json
from harness.records.preferences import Study
from harness.store import digest
from harness.turns import prompt_as_json, prompt_from_json
from suites.blind.checks import Check
from suites.blind.design import Assignment, Design, ExcludedPairs, Item, Plan, Question, SealedBallot

FORM = 1
"""The version of the sealed JSON; a design of another form was made by another version."""


def seal(design: Design) -> Study:
    """The study to keep, with its commitment."""
    written = as_json(design)
    return Study(name=design.name, created=design.created, design=written, commitment=digest(written))


def open_design(study: Study, noted: str | None = None) -> Design:
    """A study's design, once it is proved to be the sealed one.

    `noted` is the commitment as it was printed. Raises StoreError where the design was changed after it was
    sealed, and UsageError where the study's commitment is not the noted one or its form is not known.
    """
    found = digest(study.design)
    if not compare_digest(found, study.commitment):
        raise StoreError(
            f"the design of the blind test {study.name!r} was CHANGED in the store after it was sealed: its "
            f"hash is {found}, and the commitment {study.commitment}; no vote can be read by it. Restore "
            "the store from a copy made before"
        )
    if noted is not None and not compare_digest(noted.strip().encode(), study.commitment.encode()):
        raise UsageError(
            f"the blind test {study.name!r} has the commitment {study.commitment}, and not {noted}: it is "
            "another test, or both its design and its commitment were CHANGED in the store"
        )
    if study.design.get("form") != FORM or study.design.get("name") != study.name:
        raise UsageError(
            f"the blind test {study.name!r} was made by another version of harness; use that one"
        )
    return from_json(study.design)


def as_json(design: Design) -> dict[str, Json]:
    """Everything a design holds; what a ballot shows is given by its place in a list."""
    shown = dict.fromkeys(each.shown for sheet in design.assignments.values() for each in sheet.ballots)
    items = [each for each in shown if isinstance(each, Item)]
    checks = [each for each in shown if isinstance(each, Check)]
    number = {each: place for several in (items, checks) for place, each in enumerate(several)}
    return {
        "form": FORM,
        "name": design.name,
        "created": design.created,
        "nonce": design.nonce,
        "seed": design.seed,
        "language": design.language,
        "prompts": design.prompts,
        "models": list(design.models),
        "runs": dict(design.runs),
        "plan": {**asdict(design.plan), "raters": list(design.plan.raters)},
        "left_out": {
            "identical": [_item_as_json(item) for item in design.left_out.identical],
            "missing": dict(design.left_out.missing),
        },
        "questions": [_question_as_json(each) for each in design.questions.values()],
        "items": [_item_as_json(item) for item in items],
        "checks": [asdict(check) for check in checks],
        "sheets": {
            rater: {
                "key": sheet.key,
                "ballots": [
                    {
                        "id": ballot.id,
                        "shown": [
                            "item" if isinstance(ballot.shown, Item) else "check",
                            number[ballot.shown],
                        ],
                        "mirrored": ballot.mirrored,
                        "repeats": ballot.repeats,
                    }
                    for ballot in sheet.ballots
                ],
            }
            for rater, sheet in design.assignments.items()
        },
    }


def from_json(written: Mapping[str, Any]) -> Design:
    """The design that `as_json` wrote."""
    lists: Mapping[str, Sequence[Item | Check]] = {
        "item": [_item(each) for each in written["items"]],
        "check": [Check(**each) for each in written["checks"]],
    }
    plain = ("name", "created", "nonce", "seed", "language", "prompts", "runs")
    return Design(
        **{key: written[key] for key in plain},
        models=tuple(written["models"]),
        plan=Plan(**{**written["plan"], "raters": tuple(written["plan"]["raters"])}),
        left_out=ExcludedPairs(
            identical=tuple(_item(each) for each in written["left_out"]["identical"]),
            missing=written["left_out"]["missing"],
        ),
        questions={
            each["sample"]: Question(
                sample=each["sample"],
                prompt=prompt_from_json(each["prompt"]),
                answers=each["answers"],
                cut=frozenset(each.get("cut", ())),
            )
            for each in written["questions"]
        },
        assignments={
            rater: Assignment(
                key=sheet["key"],
                ballots=tuple(
                    SealedBallot(
                        id=ballot["id"],
                        shown=lists[ballot["shown"][0]][ballot["shown"][1]],
                        mirrored=ballot["mirrored"],
                        repeats=ballot["repeats"],
                    )
                    for ballot in sheet["ballots"]
                ),
            )
            for rater, sheet in written["sheets"].items()
        },
    )


def _question_as_json(question: Question) -> dict[str, Json]:
    """`cut` only where an answer is: designs of before it was known stay what they are."""
    written: dict[str, Json] = {
        "sample": question.sample,
        "prompt": prompt_as_json(question.prompt),
        "answers": dict(question.answers),
    }
    return {**written, "cut": sorted(question.cut)} if question.cut else written


def _item_as_json(item: Item) -> Json:
    return [item.sample, item.left, item.right]


def _item(written: list[str]) -> Item:
    sample, left, right = written
    return Item(sample=sample, left=left, right=right)

"""The examination of a toxicity stage: what its classifier is worth on the texts that it held out."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from harness.pluralize import pluralize
from trainers.classifier_card import estimate
from trainers.classifier_quality import FIGURES, TOO_FEW, fault_of, main_class
from trainers.doctor.findings import DoctorFinding, Examination
from trainers.planning import PlannedStage
from trainers.stage_settings import ToxicityTraining


def examine_classifier(stage: PlannedStage) -> Examination:
    """What its settings and, once it is trained, its own figures show; no model is loaded."""
    settings = cast(ToxicityTraining, stage.settings)
    if not settings.holdout:
        return Examination(name=stage.name, findings=(_unmeasured(stage),))
    if not stage.done:
        return Examination(name=stage.name, findings=())
    figures: Mapping[str, Any] = stage.manifest["metrics"][FIGURES]
    main = main_class(settings.classes)
    found = figures["classes"][main]
    measured = {f"{stage.folder.name} {main}": agreement(found)} if found["texts"] else {}
    findings = (*_nothing_learned(stage, figures), *_share_is_off(stage, main, found))
    return Examination(name=stage.name, findings=findings, measured=measured)


def agreement(found: Mapping[str, Any]) -> str:
    """How far a class agrees with its held-out labels, on at least one text."""
    return (
        f"AUC {estimate(found['auc'], found['auc_interval'])}, Spearman's rho "
        f"{estimate(found['spearman'], found['spearman_interval'])} on {found['texts']:,} held-out texts; "
        f"predicted toxic {found['predicted_toxic']:.1%}, labelled {found['labelled_toxic']:.1%}"
    )


def _unmeasured(stage: PlannedStage) -> DoctorFinding:
    usual = ToxicityTraining.model_fields["holdout"].default
    return DoctorFinding(
        check="classifier is not measured",
        severity="warning",
        where=f"{stage.key}.holdout",
        evidence="no text is held out: nothing will tell a good classifier from one that has learned nothing",
        fix=f"holdout = {usual}",
    )


def _nothing_learned(stage: PlannedStage, figures: Mapping[str, Any]) -> Iterator[DoctorFinding]:
    """Classes of which the classifier knows nothing, or of which that cannot be told."""
    for name, found in figures["classes"].items():
        if fault_of(found) == TOO_FEW:
            yield DoctorFinding(
                check="classifier cannot be judged",
                severity="warning",
                where=stage.key,
                evidence=f"whether `{name}` is learned cannot be told from "
                f"{pluralize(found['texts'], 'held-out text')}, {found['toxic']:,} of them toxic",
                fix="hold out more (`holdout`), or add rows",
            )
        elif fault_of(found) is not None:
            yield DoctorFinding(
                check="classifier has learned nothing",
                severity="error" if name == figures["main"] else "warning",
                where=stage.key,
                evidence=f"`{name}` is {fault_of(found)}: {agreement(found)}",
                fix="train longer, at another learning rate, from an encoder (`base`), or on other rows",
            )


def _share_is_off(stage: PlannedStage, main: str, found: Mapping[str, Any]) -> Iterator[DoctorFinding]:
    """A classifier that calls more or fewer texts toxic than are; every share that it measures is off."""
    if fault_of(found) is not None:
        return
    low, high = found["toxic_difference_interval"]
    if low > 0 or high < 0:
        yield DoctorFinding(
            check=f"classifier calls too {'many' if low > 0 else 'few'} texts toxic",
            severity="note",
            where=stage.key,
            evidence=f"`{main}`: predicted toxic {found['predicted_toxic']:.1%}, labelled "
            f"{found['labelled_toxic']:.1%} of {pluralize(found['texts'], 'held-out text')} (difference "
            f"[{low:+z.1%}, {high:+z.1%}])",
            fix="compare models with one another by it, and not with a share from elsewhere",
        )

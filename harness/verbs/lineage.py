"""Where models come from, as far as a project knows: whether two of them grew from the same one."""

from collections.abc import Sequence

from harness.engine.opening import identify_model
from harness.records.models import AnswerFiles, Endpoint, Gemini, Local, Model, Plugin
from harness.verbs.progress import Progress
from harness.verbs.project import Project


def origins(project: Project, name: str) -> dict[str, str]:
    """What a model is made of, each with how a person calls it: pipelines, folders, weights, services.

    A candidate's base and all before it are among them. Nothing is trained.
    """
    pipelines = project.registry.pipelines
    found: dict[str, str] = {}
    at: str | None = name
    while at is not None and at in pipelines:
        found[f"pipeline {at}"] = at
        at = pipelines[at].base
    return found if at is None else found | _of_model(project.model(at, Progress()))


def self_preference(project: Project, judge: str, candidates: Sequence[str]) -> str | None:
    """A warning where a judge shares its origin with candidates; None where it shares it with none."""
    own = origins(project, judge)
    if judge in candidates:
        return (
            f"judge {judge!r} is a candidate too, and judges its own answers: models prefer what they would "
            "have written themselves"
        )
    shared: dict[str, list[str]] = {}
    for candidate in candidates:
        theirs = origins(project, candidate)
        common = next((called for origin, called in theirs.items() if origin in own), None)
        if common is not None:
            shared.setdefault(common, []).append(repr(candidate))
    if not shared:
        return None
    listed = "; ".join(f"{base!r} with {' and '.join(alike)}" for base, alike in shared.items())
    return (
        f"judge {judge!r} shares its base {listed}: a judge may favour its own family, so one of another "
        "family should judge too"
    )


def _of_model(model: Model) -> dict[str, str]:
    source = model.source
    if isinstance(source, Local):
        return {
            f"path {source.path}": model.name,
            f"weights {identify_model(model).fingerprint}": model.name,
        }
    if isinstance(source, Endpoint | Gemini):
        return {f"served {source.model}": source.model}
    if isinstance(source, AnswerFiles):
        return {f"answers {identify_model(model).fingerprint}": model.name}
    assert isinstance(source, Plugin)
    return {f"engine {source.engine}": source.engine}

"""The verb `doctor`: find mistakes that would invalidate a model's or pipeline's results."""

from collections.abc import Collection, Iterator, Sequence

from harness.engine.opening import check_model
from harness.errors import UsageError
from harness.records.models import AnswerFiles, Local
from harness.verbs.progress import Progress
from harness.verbs.project import Project
from trainers.doctor.compare_reward_models import compare_reward_models
from trainers.doctor.examination import examine
from trainers.doctor.findings import Examination
from trainers.doctor.models import examine_model
from trainers.training import quiet


def diagnose(project: Project, names: Sequence[str] = ()) -> list[Examination]:
    """Every stage of the pipelines, each once, and every model, of these names; of all where none is named.

    Of several pipelines that end in reward stages, each is compared with the first one, too.

    Raises UnknownName and DataError, and for a model that is named UsageError if it has no files to look at.
    """
    found: dict[str, Examination] = {}
    pipelines, models = project.registry.pipelines, project.registry.models
    with quiet():
        for name in dict.fromkeys(names or [*pipelines, *models]):
            if name in pipelines:
                found |= _pipeline(project, name, found)
            else:
                found[name] = _model(project, name) if names else _model_if_any(project, name)
        return [*found.values(), *_reward_models_compared(project, names or list(pipelines))]


def _reward_models_compared(project: Project, names: Sequence[str]) -> Iterator[Examination]:
    ends = [project.plan(name)[-1] for name in dict.fromkeys(names) if name in project.registry.pipelines]
    judges = [stage for stage in ends if stage.kind == "reward"]
    yield from (compare_reward_models(judges[0], other) for other in judges[1:])


def _pipeline(project: Project, name: str, known: Collection[str]) -> dict[str, Examination]:
    """The pipeline's stages that are not examined yet, by folder."""
    plan = project.plan(name)
    return {
        str(stage.folder): examine(stage, extra=project.checks, accuracies=project.accuracies)
        for stage in plan
        if str(stage.folder) not in known
    }


def _model_if_any(project: Project, name: str) -> Examination:
    """A model that nobody asked for by its name may be a service, or not be on this machine."""
    try:
        return _model(project, name)
    except UsageError as error:
        return Examination(name=name, findings=(), left_out=(str(error),))


def _model(project: Project, name: str) -> Examination:
    model = project.model(name, Progress())
    if isinstance(model.source, AnswerFiles):
        check_model(model)
        raise UsageError(f"model {name!r} is answers in files, which can be read: nothing else is to look at")
    if not isinstance(model.source, Local):
        raise UsageError(f"model {name!r} is a service: it has no files that could be looked at")
    return examine_model(model)

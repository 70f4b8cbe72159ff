"""What `harness import` says, and what is then in the store."""

from harness.store import Store
from tests.working import Working


def imported(project: Working, *arguments: str) -> str:
    """What the command says."""
    code, out, err = project.run("import", *arguments)
    assert code == 0, err
    return " ".join(out.split())


def scores(project: Working, model: str, suite: str) -> dict[str, list[float | None]]:
    """Of the model's latest run, by metric."""
    with Store.open(f"sqlite:///{project.folder}/harness.db") as store:
        run = store.runs.latest(model, suite)
        assert run is not None
        return {name: [each.value for each in seen] for name, seen in store.runs.observations(run.id).items()}

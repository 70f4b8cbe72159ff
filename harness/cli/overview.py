"""`harness list`: list what is defined, trained and evaluated. No model is loaded."""

from dataclasses import asdict

from rich.table import Table

from harness.cli.console import Text
from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Config
from harness.cli.terminal import console, print_json
from harness.verbs.overview import Overview, overview
from harness.verbs.project import open_project
from reports.wording import toml


def command(config: Config = None, as_json: AsJson = False) -> None:
    """List models, pipelines, suites, and what is trained and evaluated so far."""
    project = introduce(open_project(config))
    found = overview(project)
    if as_json:
        print_json(asdict(found))
    else:
        _print(found)


def _print(found: Overview) -> None:
    models = Table("model", "source", title="models", title_justify="left")
    for model in found.models:
        models.add_row(Text(model.name), Text(model.source))
    pipelines = Table("pipeline", "base", "stages", "trained", title="pipelines", title_justify="left")
    for pipeline in found.pipelines:
        stages = " → ".join(pipeline.stages)
        pipelines.add_row(Text(pipeline.name), Text(pipeline.base or "–"), stages, pipeline.trained or "no")
    suites = Table("suite", "settings", "compared by default", title="suites", title_justify="left")
    for suite in found.suites:
        settings = ", ".join(f"{key} = {toml(value)}" for key, value in suite.settings.items())
        suites.add_row(Text(suite.name), Text(settings or "defaults"), "yes" if suite.is_default else "")
    runs = Table("model", "suite", "samples", "finished", title="runs", title_justify="left")
    for run in found.runs:
        runs.add_row(Text(run.model), Text(run.suite), str(run.size), run.finished or "not whole yet")
    for table in (models, pipelines, suites, runs):
        if table.row_count:
            console.print(table)

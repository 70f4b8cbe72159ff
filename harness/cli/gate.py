"""`harness gate`: whether a candidate may pass, by the rules of `[gate]` and the store alone."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import Text
from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Baseline, Config, Limit, Seed
from harness.cli.terminal import console, print_json, print_notes, record_as_json
from harness.records.models import Json
from harness.rulings import JudgedRule, Ruling
from harness.verbs.gate import GateOutcome, gate, write_gate
from harness.verbs.project import open_project
from reports.gate import demand, summary, title, why

COLOURS = {
    Ruling.KEPT: "green",
    Ruling.BROKEN: "red",
    Ruling.UNDECIDED: "yellow",
    Ruling.UNKNOWN: "magenta",
}


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="The baseline and the candidate, as for `compare`; a single name is the candidate. Default: "
            "[gate] baseline and candidate."
        ),
    ] = None,
    baseline: Baseline = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", dir_okay=False, help="Write JUnit XML into this file.")
    ] = None,
    summary_file: Annotated[
        Path | None,
        typer.Option(
            "--summary",
            dir_okay=False,
            envvar="GITHUB_STEP_SUMMARY",
            help="Add Markdown to the end of this file. Default: where GitHub shows it, within a step.",
        ),
    ] = None,
    config: Config = None,
    limit: Limit = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Judge a candidate by the rules of [gate] in harness.toml, from the store alone: nobody is asked.

    Evaluate first, then decide: harness compare sft grpo_dpo && harness gate sft grpo_dpo. Exit codes: 0
    every rule is kept; 1 one is broken, or not decided where proof is asked for; 3 something is missing.
    """
    project = introduce(open_project(config, limit=limit, seed=seed))
    outcome = gate(project, names or (), baseline=baseline)
    if as_json:
        print_json(_as_json(outcome))
    else:
        _print(outcome)
    for file in write_gate(outcome, junit_file=junit, summary_file=summary_file):
        if not as_json:
            console.print(Text(f"written: {file}"), soft_wrap=True)
    raise typer.Exit(outcome.exit_code)


def _print(outcome: GateOutcome) -> None:
    """A line for each rule, however long it is: a log has no width."""
    for result in outcome.results:
        console.print(Text(f"{title(result)}: {summary(result)}", style="bold"), soft_wrap=True)
        for rule in result.rules:
            line = Text.assemble(
                (f"  {rule.ruling:<9}  ", COLOURS[rule.ruling]), f"{demand(rule)}: {why(rule)}"
            )
            console.print(line, soft_wrap=True)
    print_notes(outcome.notes)


def _as_json(outcome: GateOutcome) -> dict[str, Json]:
    return {
        "exit_code": outcome.exit_code,
        "results": [
            {
                "candidate": result.candidate,
                "baseline": result.baseline,
                "fails": result.fails,
                "rules": [_rule_as_json(rule) for rule in result.rules],
            }
            for result in outcome.results
        ],
        "notes": list(outcome.notes),
    }


def _rule_as_json(rule: JudgedRule) -> dict[str, Json]:
    """The rule with its numbers, and in words."""
    return {**record_as_json(rule), "fails": rule.fails, "rule": demand(rule), "why": why(rule)}

"""Options that several verbs share, each defined once."""

from pathlib import Path
from typing import Annotated

import typer

from harness.registry.sections import LARGEST_SEED

Names = Annotated[
    list[str], typer.Argument(help="Models, pipelines or model folders; `harness list` shows the names.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The settings file. Default: ./harness.toml, else the built-in toy world's."
    ),
]
Suites = Annotated[
    list[str] | None,
    typer.Option("--suite", "-s", help="A suite; repeat the option for several. Default: [compare] suites."),
]
Prompts = Annotated[
    str | None,
    typer.Option(
        "--prompts",
        help="Prompts: a file (JSONL, JSON, or .txt with one per line), a suite, mt_bench, user_oriented, or "
        "a hub data set. Default: mt_bench and user_oriented; in the toy world, toy-ifeval.",
    ),
]
AnswerTokens = Annotated[
    int, typer.Option("--max-tokens", min=1, help="The maximum length of a model's answer, in tokens.")
]
Temperature = Annotated[
    float, typer.Option("--temperature", min=0, help="The models' sampling temperature; 0 is greedy.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Use only the first rows of each suite or prompt set.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, max=LARGEST_SEED, help="The seed. Default: [project] seed.")
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="`cpu`, `cuda`, `cuda:1`, `xpu` or `mps`. Default: a GPU if there is one."),
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        help="`ray`, or the address of a Ray cluster's head: ask and train local models in several "
        "processes. Default: [run] on, else this process.",
    ),
]
Replicas = Annotated[
    int | None,
    typer.Option(
        "--replicas", min=1, help="With --on: processes for a model. Default: as many as have room."
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        "--budget",
        min=0,
        help="The most that services may cost, in the currency of [prices]: models that are asked, and "
        "judges of suites. Stops before it is exceeded, with exit code 3.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what it would take, and train, load and ask nothing."),
]
Hours = Annotated[
    float | None,
    typer.Option(
        "--hours", min=0.001, help="Stop after so many hours, with exit code 3; the same command goes on."
    ),
]
AskRefused = Annotated[
    bool, typer.Option("--ask-refused", help="Repeat requests that a service refused before.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking first.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", "-b", help="The model that the others are compared with. Default: the first."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Compare runs even if they are not comparable; the report says so.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="The folder for the leaderboards. Default: [project] reports."),
]
StoreUrl = Annotated[
    str | None, typer.Option("--store", help="The store's URL, in place of the one in the settings file.")
]

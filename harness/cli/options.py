"""Options that several verbs share, each said once."""

from pathlib import Path
from typing import Annotated

import typer

from harness.registry.sections import LARGEST_SEED

Names = Annotated[
    list[str], typer.Argument(help="Models, pipelines or folders; `harness list` shows what is defined.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration; default: harness.toml here, else the toy world's."
    ),
]
Suites = Annotated[
    list[str] | None,
    typer.Option(
        "--suite", "-s", help="A suite to ask; several times for several. Default: [compare] suites."
    ),
]
Prompts = Annotated[
    str | None,
    typer.Option(
        "--prompts",
        help="A file (JSONL, JSON, or one prompt per line in .txt), a suite, mt_bench, user_oriented, or a "
        "data set on the hub. Default: both of HARNESS_DATA's; in the toy world, toy-ifeval's.",
    ),
]
AnswerTokens = Annotated[
    int, typer.Option("--max-tokens", min=1, help="Of an answer of the models that are compared.")
]
Temperature = Annotated[
    float, typer.Option("--temperature", min=0, help="Of the models that are compared; 0 is greedy.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Ask only the first rows of every suite.")]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Instead of [project] seed.")
]
Device = Annotated[
    str | None, typer.Option("--device", help="`cpu`, `cuda`, `cuda:1`; default: a GPU where there is one.")
]
AskRefused = Annotated[
    bool, typer.Option("--ask-refused", help="Ask again what a service refused to answer.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it, and do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")]
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", "-b", help="What the others are compared with; default: the first."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Compare runs that are not comparable; the report says so.")
]
Folder = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where the leaderboards go; default: [project] reports.")
]

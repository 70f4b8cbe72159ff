"""Prints a plan of training: each stage with its work, and the whole with what it needs of the machine."""

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.filesize import decimal
from rich.table import Table

from harness.cli.console import Text
from harness.cli.pace import duration
from harness.cli.terminal import console
from trainers.forecast import NEW, StageForecast

MARKS = {
    "as before": ("~", "as earlier stages like it came to"),
    "at most": ("≤", "at most: answers may be shorter than their limit"),
    "guessed": ("?", "guessed from the number of characters, for there is no tokenizer yet"),
    "last run": (">", "since it was interrupted last"),
}
"""What a number rests on, where it was neither counted nor measured: before it, and in the legend."""
UNKNOWN = "–"


def print_plan(stages: Sequence[StageForecast], free: int) -> None:
    """Print the stages, and the whole of those that will be trained, with `free` bytes on the disk."""
    shared = len({name for stage in stages for name in stage.needed_by}) > 1
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("pipeline", overflow="fold")
    table.add_column("stage", no_wrap=True)
    if shared:
        table.add_column("needed by", overflow="fold")
    table.add_column("", no_wrap=True)
    for heading in ("rows", "steps", "tokens", "disk", "time"):
        table.add_column(heading, justify="right", no_wrap=True)  # a number that is cut is another number
    for stage in stages:
        table.add_row(
            Text(stage.pipeline),
            stage.kind,
            *([Text(", ".join(stage.needed_by))] if shared else []),
            "reused" if stage.done else "train",
            f"{stage.rows:,}",
            UNKNOWN if stage.steps is None else f"{stage.steps:,}",
            f"{_mark(stage.tokens_basis)}{stage.tokens:,}",
            UNKNOWN if stage.disk is None else decimal(stage.disk),
            UNKNOWN if stage.seconds is None else f"{_mark(stage.seconds_basis)}{duration(stage.seconds)}",
        )
    console.print(table)
    for stage in stages:
        if not stage.done and stage.why != NEW:
            console.print(Text(f"{stage.pipeline} · {stage.kind}: {stage.why}"), soft_wrap=True)
    bases = {basis for stage in stages for basis in (stage.tokens_basis, stage.seconds_basis)}
    legend = [f"{mark} {meaning}" for basis, (mark, meaning) in MARKS.items() if basis in bases]
    if legend:
        console.print(Text("; ".join(legend), style="dim"))
    for line in _summary(stages, free):
        console.print(Text(line), soft_wrap=True)


def _mark(basis: str | None) -> str:
    return MARKS[basis][0] if basis in MARKS else ""


def _summary(stages: Sequence[StageForecast], free: int) -> list[str]:
    """What is to be trained: tokens, then disk and time as far as they are known."""
    trained = [stage for stage in stages if not stage.done]
    lines = [
        f"{len(trained)} of {len(stages)} stages to train: {sum(each.tokens for each in trained):,} tokens"
    ]
    if trained:
        lines += [_disk(trained, free), _time(trained)]
    return lines


def _disk(trained: Sequence[StageForecast], free: int) -> str:
    stays = peak = 0
    for stage in trained:
        peak = max(peak, stays + (stage.disk_peak or 0))
        stays += stage.disk or 0
    unknown = [stage.kind for stage in trained if stage.disk is None]
    if len(unknown) == len(trained):
        return f"disk: not known for {_named(unknown)}; {decimal(free)} are free"
    without = f", without {_named(unknown)}" if unknown else ""
    needed = f"{decimal(stays)}, at most {decimal(peak)} meanwhile{without}"
    return f"disk: {needed}; {decimal(free)} are free{', which is too little' if peak > free else ''}"


def _time(trained: Sequence[StageForecast]) -> str:
    known = [stage.seconds for stage in trained if stage.seconds is not None]
    unknown = [stage.kind for stage in trained if stage.seconds is None]
    reason = f"{_named(unknown)}: no stage like it was trained on this machine yet"
    if not known:
        return f"time: not known for {reason}"
    return f"time: about {duration(sum(known))}" + (f", and not known for {reason}" if unknown else "")


def _named(kinds: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(kinds))

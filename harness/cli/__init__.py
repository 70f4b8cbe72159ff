"""The `harness` command: the table of its verbs, exit codes, and how errors are reported.

Each verb is one module that parses its options, calls one function of `harness.verbs` and prints the result.
Only the verb that was asked for is imported, so that `harness --help` is quick. No other package imports
this one.
"""

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper

import typer

from harness.cli.quiet import silence_third_parties
from harness.errors import HarnessError
from harness.escape_controls import escape_controls

VERBS = {
    "compare": ("harness.cli.compare", "Train and evaluate what is missing, compare, report."),
    "train": ("harness.cli.train", "Train pipelines, stage by stage."),
    "eval": ("harness.cli.evaluate", "Run suites on models and store the results."),
    "data": ("harness.cli.data", "List training mixes, or build one with its data card."),
    "import": ("harness.cli.importing", "Make runs of another tool's results."),
    "gate": ("harness.cli.gate", "Judge a candidate by the rules of [gate], from the store."),
    "report": ("harness.cli.report", "Write the leaderboards again, from the store alone."),
    "export": ("harness.cli.export", "Write results as CSV, LaTeX and other formats."),
    "judge": ("harness.cli.judge", "Have models judge which answers are better."),
    "preferences": ("harness.cli.preferences", "Show which answers judges and humans preferred."),
    "blind": ("harness.cli.blind", "Run blind tests with human raters."),
    "sample": ("harness.cli.sample", "Show answers to one prompt side by side."),
    "doctor": ("harness.cli.doctor", "Find mistakes that would invalidate results."),
    "list": ("harness.cli.overview", "List what is defined, trained and evaluated."),
    "runs": ("harness.cli.runs", "List the runs in the store, show one, or drop some."),
    "prune": ("harness.cli.prune", "Free disk space that is no longer needed."),
    "store": ("harness.cli.store", "Check the results store for damage."),
    "init": ("harness.cli.init", "Write a commented harness.toml to start from."),
}
"""Every verb: the module with its `command`, or with a Typer of several, and its line in the help."""

ABOUT = """Train, evaluate and compare language models: which is better, at what, by how much, how surely.

Exit codes: 0 done; 1 a check failed (compare --fail-on, gate, doctor, store verify); 2 wrong use; 3 stopped
part-way, run the same command to continue; 70 an unexpected error; 130 stopped by Ctrl-C, 143 by kill.
"""
UNEXPECTED = 70
"""EX_SOFTWARE in sysexits.h; never 1, which says that a check failed."""
INTERRUPTED, TERMINATED, UNREAD = 130, 143, 141
"""A shell's exit codes for a program ended by Ctrl-C, by a plain `kill`, or by a closed pipe."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    silence_third_parties()
    _print_anything()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _stopped_by_kill():
            _application(given)(args=given, prog_name="harness")
    except HarnessError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as ending:  # the former while a verb's libraries load
        code = ending.code if isinstance(ending, SystemExit) else INTERRUPTED
        if isinstance(ending.__context__, BrokenPipeError):  # for which typer ends with 1
            code = UNREAD
        if code in (INTERRUPTED, TERMINATED):
            _complain("stopped; what was done is kept, and the same command goes on from there")
        sys.exit(code)
    except Exception as error:  # noqa: BLE001  # the last boundary: a traceback would exit with 1, "worse"
        _report(error)
        sys.exit(UNEXPECTED)


@contextmanager
def _stopped_by_kill() -> Iterator[None]:
    """A plain `kill` unwinds as Ctrl-C does, so that answers which wait for their commit are kept."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_anything() -> None:
    """A terminal that cannot show a character gets its escape, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _application(given: Sequence[str]) -> typer.Typer:
    """All verbs, of which only the one that was asked for is imported; the others are a line in the help."""
    application = typer.Typer(
        help=ABOUT,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    asked = next((word for word in given if not word.startswith("-")), None)
    for verb, (module, line) in VERBS.items():
        command = import_module(module).command if verb == asked else _line_in_the_help
        if isinstance(command, typer.Typer):
            application.add_typer(command, name=verb)
        else:
            application.command(verb, help=None if verb == asked else line)(command)
    return application


def _line_in_the_help() -> None:
    """Stands for a verb that was not asked for."""


def _report(error: Exception) -> None:
    """One line about an unexpected exception, and where its traceback is."""
    # imported here because it is hardly ever needed, and `--help` counts milliseconds
    from harness.cli.tracebacks import in_a_line, keep_traceback  # noqa: PLC0415

    file = keep_traceback(error)
    if file is None:
        traceback.print_exception(error)
    where = "printed above" if file is None else f"in {file}"
    _complain(
        f"unexpected {in_a_line(error)}; what was done is kept, and the traceback is {where}: report it"
    )


def _complain(message: str) -> None:
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    print(
        typer.style("harness: ", fg="red", bold=True) if colour else "harness: ",
        escape_controls(message),
        sep="",
        file=sys.stderr,
    )

"""What models, judges, raters and files write does nothing to a terminal, whatever command prints it."""

import ast
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.columns import Columns
from rich.panel import Panel
from rich.progress import Progress, TextColumn
from rich.rule import Rule
from rich.table import Column, Table

from harness import cli
from harness.cli.console import Console, Text
from harness.escape_controls import escape_controls
from tests.serving import FINE, Asked, ModelServer, status
from tests.working import Working

SEEN = "answer"
HOSTILE = (
    f"{SEEN}\x1b[31m\x1b]0;title\x07\x08\r\x9b2J\x7f\u202egnp\u2066\u200b\ufeff\U000e0041"
    "\u00ad\u3164x\u200dy\ud800"
)
NEVER = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200d-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
RATES = "item,rater,left,right,winner,kind,reason\n"
SENT = HOSTILE.replace("\ud800", "")
"""What JSON and UTF-8 can carry."""


def shows(printed: str) -> None:
    """The text is there, and nothing of it but what can be seen."""
    assert SEEN in re.sub(r"[\s│]+", " ", printed)
    assert [] == NEVER.findall(printed)


@pytest.mark.parametrize(
    "made",
    [
        HOSTILE,
        Text(HOSTILE),
        Text.assemble("a ", (HOSTILE, "bold"), HOSTILE),
        Text("a ").append(HOSTILE),
        Panel("x" * 60, title=HOSTILE),
        Panel(HOSTILE, subtitle=HOSTILE),
        Columns([Panel(Text(HOSTILE))]),
        Rule(HOSTILE),
        Table(HOSTILE, title=HOSTILE, caption=HOSTILE),
    ],
    ids=lambda made: type(made).__name__,
)
def test_whatever_is_rendered(made: object) -> None:
    """A string, a text, a title, a cell: the console lets nothing through that cannot be seen."""
    into = io.StringIO()
    console = Console(file=into, width=300, highlight=False)
    console.print(made)
    shows(into.getvalue())


@pytest.mark.parametrize(
    "made", [HOSTILE, Text(HOSTILE), Text("").append(HOSTILE)], ids=["str", "Text", "append"]
)
def test_nothing_vanishes(made: str | Text) -> None:
    """Rich drops some control characters; here each is shown, also in a table, which stays straight."""
    for whole in (made, Table(Column(made), width=200)):
        into = io.StringIO()
        Console(file=into, width=200, highlight=False).print(whole)
        assert escape_controls(HOSTILE) in into.getvalue()
    narrow = Table(Column("name", overflow="fold"), "n")
    narrow.add_row(made, "1")
    into = io.StringIO()
    Console(file=into, width=30).print(narrow)
    lines = into.getvalue().splitlines()
    assert escape_controls(HOSTILE) == "".join(
        line.split("│")[1].strip() for line in lines if line.startswith("│")
    )
    assert {len(lines[0])} == {len(line) for line in lines}


def test_a_progress_bar() -> None:
    """What it says of its work is rendered too; what moves the cursor is the console's own."""
    into = io.StringIO()
    console = Console(file=into, width=300, force_terminal=True, no_color=True)
    with Progress(TextColumn("{task.description}", markup=False), console=console) as progress:
        progress.add_task(HOSTILE, total=1)
    shows(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", into.getvalue()))


def test_every_file_prints_through_the_console() -> None:
    """No file of the command line makes Rich's own text or console, and three places print without it."""
    prints = {}
    for file in Path(cli.__file__).parent.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        if file.name != "console.py":
            assert not names & {"rich.text.Text", "rich.console.Console", "rich.print", "typer.echo"}, file
        called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        prints[file.name] = sum(isinstance(each, ast.Name) and each.id == "print" for each in called)
    assert {"__init__.py": 1, "console.py": 1, "terminal.py": 1} == {
        name: count for name, count in prints.items() if count
    }, "a complaint that is made visible, `say`, and JSON, which is ASCII"


# ---------------------------------------------------------------- the commands themselves

PROJECT = """
[models.one]
endpoint = "SERVER/v1"
model = "m"
[models.two]
endpoint = "SERVER/v1"
model = "m"
api = "completions"
[models.broken]
endpoint = "SERVER/v1"
model = "broken"
retries = 0
"""


def answer(asked: Asked) -> str:
    """Hostile, and another one behind each interface."""
    return f"{SENT} {len(asked.path)}"


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Working]:
    """Models, a judge and files that write what no terminal should get."""
    monkeypatch.chdir(tmp_path)
    with ExitStack() as servers:
        server = servers.enter_context(ModelServer(answer=answer))
        (tmp_path / "harness.toml").write_text(PROJECT.replace("SERVER", server.address))
        found = Working(tmp_path, capsys)
        found.write("prompts.jsonl", *({"id": f"p{n}", "prompt": f"{SENT} {n}"} for n in range(12)))
        server.wrong = lambda asked: status(400, SENT) if asked.body["model"] == "broken" else FINE
        yield found


def test_sample(project: Working) -> None:
    """Answers side by side."""
    code, out, _ = project.run("sample", "one", "two", "--prompt", "Hi.")
    assert 0 == code
    shows(out)


def test_judge(project: Working) -> None:
    """A judge's unreadable reply, as reason, as note and as what the command ends with; JSON is ASCII."""
    code, out, err = project.run("judge", "one", "two", "--by", "one", "--prompts", "prompts.jsonl")
    assert 3 == code, err
    shows(out)
    shows(err)
    _, out, _ = project.run("judge", "one", "two", "--by", "one", "--prompts", "prompts.jsonl", "--json")
    assert out.isascii()
    assert [] == NEVER.findall(out)


def test_preferences_from_a_file(project: Working) -> None:
    """Names of models and raters, and the reason of a vote without a winner."""
    rows = [f'q{i},"r{SENT}","m{SENT}",other,{"left" if i else ""},human,"{SENT}"' for i in range(4)]
    (project.folder / "votes.csv").write_text(RATES + "\n".join(rows) + "\n", encoding="utf-8", newline="")
    code, out, _ = project.run("preferences", "--from", "votes.csv")
    assert 0 == code
    shows(out)


def test_a_blind_test(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts and answers in the terminal."""
    plan = ("--per-rater", "12", "--overlap", "2", "--repeats", "0", "--checks", "0")
    code, out, err = project.run(
        "blind", "new", "one", "two", "--prompts", "prompts.jsonl", "--raters", "ana", *plan
    )
    assert 0 == code, err
    monkeypatch.setattr("sys.stdin", io.StringIO("t\n" * 3))
    code, out, _ = project.run("blind", "rate", "--rater", "ana")
    assert 0 == code
    shows(out)


def test_a_suite_of_ones_own(project: Working) -> None:
    """Groups by what stands in its file, in `eval`, `compare`, `report` and `list`."""
    project.write(
        "own.jsonl",
        *({"id": f"o{n}", "prompt": f"{n}?", "target": "x", "kind": f"{SENT} {n % 2}"} for n in range(12)),
    )
    with (project.folder / "harness.toml").open("a", encoding="utf-8") as file:
        file.write(
            '[suites.own]\nprompts = "own.jsonl"\nrule = "contains"\nsplits = ["kind"]\nmax_tokens = 9\n'
        )
    for verb in (["eval", "one", "-s", "own"], ["compare", "one", "two", "-s", "own"], ["report"], ["list"]):
        code, out, err = project.run(*verb)
        assert 0 == code, err
        assert [] == NEVER.findall(out + err)


def test_complaints(project: Working) -> None:
    """A service's own words, a name that does not exist, a file of that name and a line in one."""
    (project.folder / "bad.jsonl").write_text(f'{{"prompt": "{SENT[:10]}', encoding="utf-8")
    for arguments in (
        ["sample", "broken", "--prompt", "Hi."],
        ["sample", SENT, "--prompt", "Hi."],
        ["judge", "one", "two", "--by", "one", "--prompts", f"{SENT}.jsonl"],
        ["judge", "one", "two", "--by", "one", "--prompts", "bad.jsonl"],
    ):
        code, out, err = project.run(*arguments)
        assert code in (2, 3)
        assert [] == NEVER.findall(out + err)

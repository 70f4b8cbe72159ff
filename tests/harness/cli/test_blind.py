"""`harness blind` as its users meet it: those who make a test, and those who rate in a terminal."""

import csv
import io
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from contextlib import chdir, closing
from pathlib import Path

import pytest

from harness.cli import main
from harness.store import Store
from tests.tiny_models import tiny_llama

PROJECT = """
[models.one]
path = "./one"

[models.two]
path = "./two"
"""
NEW = (
    "blind", "new", "one", "two", "--prompts", "prompts.txt", "--raters", "ana,bia", "--per-rater", "12",
    "--overlap", "4", "--repeats", "1", "--checks", "1", "--max-tokens", "8",
)  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny models."""
    folder = tmp_path_factory.mktemp("models")
    tiny_llama(folder / "one", seed=1)
    tiny_llama(folder / "two", seed=2)
    return folder


@pytest.fixture
def project(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the two models and twenty prompts, as the working folder."""
    _write(tmp_path, models)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a blind test, not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    _write(folder, models)
    with chdir(folder):
        assert 0 == run(*NEW)
    return folder


@pytest.fixture
def blind_project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another one with the same blind test, as the working folder."""
    folder = tmp_path / "project"
    shutil.copytree(made, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def _write(folder: Path, models: Path) -> None:
    for name in ("one", "two"):
        (folder / name).symlink_to(models / name)
    (folder / "harness.toml").write_text(PROJECT)
    (folder / "prompts.txt").write_text("".join(f"Name {number} tools.\n" for number in range(20)))


def run(*arguments: str) -> int:
    """Run the command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def rate(monkeypatch: pytest.MonkeyPatch, rater: str, keys: str) -> int:
    """Rate with these keys, a line each, on standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(keys))
    return run("blind", "rate", "--rater", rater)


def test_a_whole_blind_test(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made, rated by two, audited without telling who is ahead, unsealed once, and kept as preferences."""
    assert 0 == run(*NEW, "--overlap", "10")  # whatever both have rated so far, some of it they share
    commitment = re.search(r"commitment: (sha256:[0-9a-f]{64})", capsys.readouterr().out)
    assert commitment
    assert 0 == rate(monkeypatch, "ana", "l\n" * 12)
    assert "all done" in capsys.readouterr().out
    assert 0 == rate(monkeypatch, "bia", "r\ns\nu\nt\nx\nb\nc\nsame to me\nt\nq\n")
    capsys.readouterr()
    assert 0 == run("blind", "status", "--json")
    (status,) = json.loads(capsys.readouterr().out)
    assert {"ana": {"done": 12, "total": 12}, "bia": {"done": 4, "total": 12}} == status["raters"]
    assert 0 == run("blind", "audit", "--json")
    sealed = json.loads(capsys.readouterr().out)
    assert [] == sealed["preferences"]["win_rates"] == sealed["preferences"]["ratings"]
    assert sealed["preferences"]["agreements"]
    assert 2 == run("blind", "unseal")
    assert "still open (bia 8)" in capsys.readouterr().err
    assert 0 == run("blind", "unseal", "--now", "--commitment", commitment[1], "--json")
    found = json.loads(capsys.readouterr().out)["preferences"]
    assert {("one", "two")} == {(each["baseline"], each["candidate"]) for each in found["win_rates"]}
    assert 0 == run("preferences", "one", "two", "--json")
    said = json.loads(capsys.readouterr().out)
    del said["notes"]
    assert said == found
    assert 2 == rate(monkeypatch, "bia", "l\n")
    assert "votes are closed" in capsys.readouterr().err
    with closing(Store.open("sqlite:///harness.db")) as store:
        assert ["human:blind-1:ana", "human:blind-1:bia"] == [
            rater.id for rater in store.preferences.raters()
        ]
        assert 10 == len(store.preferences.find(rater="human:blind-1:ana"))
        first = store.studies.when_unsealed("blind-1")
        assert 0 == run("blind", "unseal")
        assert first == store.studies.when_unsealed("blind-1")


def test_ballots_go_out_and_votes_come_back(blind_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file filled in elsewhere is voted, and counted once however often it is read."""
    assert 0 == run("blind", "export", "--rater", "ana", "-o", "ballots.csv")
    assert 2 == run("blind", "export", "--rater", "ana", "-o", "ballots.csv")
    assert "ballots.csv is there already, perhaps with votes in it" in capsys.readouterr().err
    rows = list(csv.DictReader(io.StringIO(Path("ballots.csv").read_text("utf-8-sig"), newline="")))
    assert 12 == len(rows)
    with Path("votes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "choice": "right"} for row in rows[:5])
    capsys.readouterr()
    assert 0 == run("blind", "import", "votes.csv")
    assert "5 new votes, 0 known ones, 0 lines without a choice" in capsys.readouterr().out
    assert 0 == run("blind", "import", "votes.csv")
    assert "0 new votes, 5 known ones" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "one", "--raters", "ana"], "needs two different models"),
        (["new", "one", "two", "--raters", ","], "needs raters"),
        (["new", "one", "two", "--raters", "ana,ana"], "'ana' is named 2 times"),
        (["new", "one", "tow", "--raters", "ana"], "did you mean 'two'?"),
        (["new", "one", "two", "--raters", "ana", "--prompts", "prompts.txt"], "at most --per-rater 28"),
        (["new", "one", "two", "--raters", "ana", "--name", "a/b"], "cannot be the name of a blind test"),
        (["rate", "--rater", "bai"], "did you mean 'bia'?"),
        (["rate", "--rater", "ana", "--study", "blind-2"], "did you mean 'blind-1'?"),
        (["audit", "--commitment", "sha256:0"], "and not sha256:0"),
        (["import", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["export", "-o", "nowhere/ballots.csv"], "cannot be written"),
        ([*NEW[1:], "--name", "blind-1"], "there is a blind test named 'blind-1' already"),
    ],
)
def test_wrong_use_is_one_message(
    blind_project: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong use ends with one message that says what is possible, and no traceback."""
    assert run("blind", *arguments) in (2, 3)
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("arguments", [["serve", "--port", "0"], ["export", "-o", "ballots.csv"]])
def test_an_unsealed_test_gives_out_no_ballots(
    blind_project: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No link and no file is given out on which nobody can vote."""
    run("blind", "unseal", "--now")
    capsys.readouterr()
    assert 2 == run("blind", *arguments)
    printed = capsys.readouterr()
    assert ("", True) == (printed.out, "is unsealed: votes are closed" in printed.err)


def test_links_can_be_read_from_a_pipe_at_once(blind_project: Path) -> None:
    """Somebody who serves in the background finds the links in the log while raters rate."""
    code = "import sys\nfrom harness.cli import main\nmain(['blind', 'serve', '--port', '0'])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONUNBUFFERED", None)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdout
        try:
            ready, _, _ = select.select([server.stdout], [], [], 30)
            assert ready
            assert server.stdout.readline().startswith(b"ana: http://127.0.0.1:")
        finally:
            server.terminate()


def test_without_a_blind_test_it_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a store nor a study: what to do is named, and no store is made."""
    assert 2 == run("blind", "audit")
    assert "there is no results store here yet; `harness blind new A B` makes one" in capsys.readouterr().err
    assert not Path("harness.db").exists()


def test_a_terminal_shows_answers_as_text(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Markup and control characters of a prompt or an answer are shown, and do nothing."""
    Path("prompts.txt").write_text("".join(f"[red]x{n}[/red] \x1b[2J\u202egnp\n" for n in range(20)))
    run(*NEW)
    capsys.readouterr()
    assert 0 == rate(monkeypatch, "ana", "t\n" * 12)
    shown = capsys.readouterr().out
    assert "[red]x" in shown
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown


def test_keys_of_a_real_terminal(blind_project: Path) -> None:
    """In a terminal one key votes, an arrow is a side, and a key held down votes on no unread ballot."""
    code = "import sys\nfrom harness.cli import main\nmain(['blind', 'rate', '--rater', 'ana'])"
    terminal, end = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=end, stdout=end, stderr=end, env=environment, close_fds=True
    )
    os.close(end)
    seen = [shown_until(terminal, "0 of 12 done.*quit")]
    for keys, done in (("\x1b[D", 1), ("\x1b[C", 2), ("bbbb", 3), ("u", 2)):
        time.sleep(0.6)
        os.write(terminal, keys.encode())
        seen.append(shown_until(terminal, f"{done} of 12 done.*quit"))
    time.sleep(0.6)
    os.write(terminal, b"c")
    seen.append(shown_until(terminal, "comment:"))
    os.write(terminal, b"both fine\n")
    time.sleep(0.6)
    os.write(terminal, b"t")
    seen.append(shown_until(terminal, "3 of 12 done.*quit"))
    time.sleep(0.6)
    os.write(terminal, b"\x04")
    seen.append(shown_until(terminal, "kept"))
    assert 0 == process.wait(20)
    with closing(Store.open("sqlite:///harness.db")) as store:
        assert ["left", "right", "bad", "undo", "tie"] == [
            vote.choice for vote in store.studies.votes("blind-1")
        ]
        assert "both fine" == store.studies.votes("blind-1")[-1].comment
        assert all(vote.source == "terminal" for vote in store.studies.votes("blind-1"))


def shown_until(terminal: int, pattern: str) -> str:
    """What the terminal shows until it matches, within 30 seconds."""
    shown, deadline = "", time.monotonic() + 30
    while not re.search(pattern, shown, re.DOTALL):
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536).decode("utf-8", "replace")
    return shown

"""The README cannot lie about the command line: every verb, and every option it shows, exists."""

import re
from pathlib import Path

import pytest

from harness.cli import VERBS, main

README = Path(__file__).parent.parent / "README.md"
COMMANDS = re.findall(r"^ +harness +(\w+)(.*?)(?: +#.*)?$", README.read_text(encoding="utf-8"), re.MULTILINE)


def shown_by(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The help of a command."""
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert not stopped.value.code
    return capsys.readouterr().out


def test_every_verb_is_shown() -> None:
    """No verb is left out of the README."""
    assert set(VERBS) == {verb for verb, _ in COMMANDS}


@pytest.mark.parametrize(("verb", "rest"), COMMANDS)
def test_commands_exist(verb: str, rest: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command line of the README names a verb and options that its help explains."""
    explained = shown_by([verb], capsys)
    assert verb in VERBS
    word = next(iter(rest.split()), "-")
    if f"Usage: harness {verb} [OPTIONS] COMMAND" in explained and not word.startswith("-"):
        explained = shown_by([verb, word], capsys)
    for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", rest):
        assert re.search(rf"(?<!\S){re.escape(option)}\b", explained), f"{verb} has no {option}"

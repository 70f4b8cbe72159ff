"""Progress where nobody watches: a line per piece of work."""

import pytest

from harness.cli.progress import ProgressBars


def test_rounds_of_one_piece_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A judge that is asked in rounds says once, at the end, how much it was asked."""
    with ProgressBars() as watcher:
        watcher.asking("sft", "prompts", 1, 2)
        watcher.asking("sft", "prompts", 2, 2)
        for _ in range(3):
            watcher.asking("judge", "pairs", 4, 4)
        watcher.asking("jury", "pairs", 1, 2)

    said = [line.partition(" in ")[0] for line in capsys.readouterr().err.splitlines()]
    assert ["ask sft · prompts: 2", "ask judge · pairs: 12"] == said

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


def test_what_lies_between_two_pieces_counts_for_neither(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suite's judge is asked after each model: its second line says the time of its second round alone."""
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("harness.cli.progress.time.monotonic", lambda: next(clock))
    with ProgressBars() as watcher:
        for model in ("sft", "dpo"):
            for name in (model, "judge"):
                watcher.asking(name, "suite", 1, 2)
                watcher.asking(name, "suite", 2, 2)

    said = [line.rpartition(" in ")[2] for line in capsys.readouterr().err.splitlines()]
    assert ["10.0 s"] * 4 == said

"""What `harness train --plan` prints: each stage with what its numbers rest on, and the whole."""

from pathlib import Path
from typing import Any

import pytest

from harness.cli.terminal import console
from harness.cli.training_plan import print_plan
from trainers.forecast import StageForecast


def line(kind: str, **changed: Any) -> StageForecast:
    """A stage to train, of which everything is known."""
    known: dict[str, Any] = {
        "pipeline": "p",
        "needed_by": ("p",),
        "kind": kind,
        "folder": Path(f"stages/{kind}-1"),
        "done": False,
        "why": "new",
        "rows": 10,
        "steps": 2,
        "tokens": 1000,
        "tokens_basis": "counted",
        "disk": 2_000_000,
        "disk_peak": 5_000_000,
        "seconds": 30.0,
        "seconds_basis": "as before",
    }
    return StageForecast(**{**known, **changed})


UNKNOWN: dict[str, Any] = {"seconds": None, "seconds_basis": None, "disk": None, "disk_peak": None}


def printed(*stages: StageForecast, free: int = 10**9) -> str:
    """Everything that is printed of this plan."""
    with console.capture() as captured:
        print_plan(stages, free)
    return captured.get().replace("\n", " ")


def test_the_whole_is_what_is_to_be_trained() -> None:
    """Finished stages need nothing more; the peak is where the most lies beside a training."""
    shown = printed(line("sft", done=True), line("reward"), line("dpo", disk_peak=3_500_000))

    assert "2 of 3 stages to train: 2,000 tokens" in shown
    assert "disk: 4.0 MB, at most 5.5 MB meanwhile; 1.0 GB are free time: about 60 s" in shown
    assert "4.0 MB are free, which is too little" in printed(line("reward"), free=4_000_000)


def test_why_a_stage_is_trained_again_is_said() -> None:
    """Whole, however narrow the terminal is; of what is new there is nothing to say."""
    changed = "changed since it was trained: epochs 1 → 3, its data, the chat template, its rewards, the seed"
    shown = printed(line("sft"), line("dpo", why=changed))

    assert f"p · dpo: {changed}" in shown
    assert "p · sft:" not in shown


def test_what_is_not_known_is_said() -> None:
    """A time that nothing tells is not invented, nor is a size."""
    some, none = printed(line("sft"), line("grpo", **UNKNOWN)), printed(line("grpo", **UNKNOWN))

    assert "time: about 30 s, and not known for grpo: no stage like it was trained on this machine" in some
    assert "disk: 2.0 MB, at most 5.0 MB meanwhile, without grpo" in some
    assert "time: not known for grpo" in none
    assert "disk: not known for grpo; 1.0 GB are free" in none


def test_marks_are_explained_where_they_stand() -> None:
    """And nowhere else."""
    marked = printed(line("grpo", tokens_basis="at most", seconds_basis="last run"))
    bare = printed(line("sft", done=True, tokens_basis="measured", seconds_basis="measured"))

    assert "≤ at most: answers may be shorter" in marked
    assert "> since it was interrupted" in marked
    assert not {"≤", "~", "?", ">"} & set(bare)


def test_no_number_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal of 80 columns names go over lines, and numbers stay whole."""
    monkeypatch.setattr(console, "width", 80)
    shown = printed(
        line("reward", pipeline="grpo_dpo_mix", needed_by=("sft", "grpo_dpo_mix"), rows=12_345, steps=1_234,
             tokens=123_456_789, tokens_basis="at most", disk=545_100_000, seconds=7_260.0)
    )  # fmt: skip
    for number in ("12,345", "1,234", "≤123,456,789", "545.1 MB", "~2 h 1 min"):
        assert number in shown

"""Progress where nobody watches: a line per piece of work, and one at least every 30 seconds."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest
from rich.console import Console

from harness.cli import progress, timeline
from harness.cli.moving import MovingLines
from harness.cli.pace import Pace, clock_time, duration
from harness.cli.progress import FEWER_SAMPLES, ProgressBars
from harness.engine.steps import Steps, watching_steps
from trainers.checkpoints import COMPLETE, record_step, stopped
from trainers.doctor.findings import DoctorFinding, Examination
from trainers.forecast import StageForecast
from trainers.job import StageProgress


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Watched:
    """Progress whose time passes when a test says so, as its thread would see it."""

    def __init__(self, capsys: pytest.CaptureFixture[str], **options: str) -> None:
        self.clock = Clock()
        self.bars = ProgressBars(clock=self.clock, **options)
        self._capsys = capsys

    def wait(self, seconds: int) -> None:
        """Nothing happens for so long."""
        for _ in range(seconds):
            self.clock.now += 1.0
            self.bars.look()

    def lines(self) -> list[str]:
        """What was written since the last look."""
        return self._capsys.readouterr().err.splitlines()


@pytest.fixture
def watched(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Progress with a clock of the test's, and a thread that never looks by itself."""
    monkeypatch.setattr(progress, "LOOK_EVERY", 1000.0)
    monkeypatch.setattr(timeline, "LINE_EVERY", 28.0)
    found = Watched(capsys, shorten=FEWER_SAMPLES)
    with found.bars:
        yield found


def test_rounds_of_one_piece_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A judge that is asked in rounds says once, at the end, how much it was asked."""
    with ProgressBars() as progress:
        progress.asking("sft", "prompts", 1, 2)
        progress.asking("sft", "prompts", 2, 2)
        for _ in range(3):
            progress.asking("judge", "pairs", 4, 4)
        progress.asking("jury", "pairs", 1, 2)

    said = [line.partition(" in ")[0] for line in capsys.readouterr().err.splitlines()]
    assert ["ask sft · prompts: 2", "ask judge · pairs: 12"] == said


def test_a_finished_piece_is_reported_at_once(watched: Watched) -> None:
    """The line of a finished piece does not wait until the next one has its first answer."""
    watched.bars.asking("sft", "ifeval", 1, 2)
    watched.clock.now += 5
    watched.bars.asking("sft", "ifeval", 2, 2)
    watched.wait(2)
    assert ["ask sft · ifeval: 2 in 5.0 s"] == watched.lines()


def test_slow_rounds_are_reported_every_30_seconds(watched: Watched) -> None:
    """A piece whose rounds take seconds says how much is done in all, and not once a round."""
    for _ in range(20):
        watched.wait(4)
        watched.bars.asking("judge", "pairs", 4, 4)
    lines = watched.lines()
    assert 3 <= len(lines) <= 4
    assert "ask judge · pairs: 32 in 32.0 s" == lines[1]


def test_a_line_comes_every_30_seconds(watched: Watched) -> None:
    """Done, total, pace and remaining time stand in a log at least every 30 seconds while answers come."""
    for done in range(1, 31):
        watched.bars.asking("sft", "ifeval", done, 40)
        watched.wait(10)
    lines = watched.lines()
    assert len(lines) >= 300 // 30
    assert "ask sft · ifeval: 28 of 40 answers, 6.0 a minute, about 2 min left" == lines[-1]


def test_a_line_comes_although_no_answer_does(watched: Watched) -> None:
    """A slow generation says that it is still waited for, and for how long; loading does too."""
    watched.bars.loading("sft")
    watched.wait(60)
    assert ["load sft: 28 s so far", "load sft: 56 s so far"] == watched.lines()
    watched.bars.asking("sft", "ifeval", 1, 30)
    watched.wait(120)
    assert [
        "ask sft · ifeval: 1 of 30 answers, none for 24 s",
        "ask sft · ifeval: 1 of 30 answers, none for 52 s",
        "ask sft · ifeval: 1 of 30 answers, none for 80 s",
        "ask sft · ifeval: 1 of 30 answers, none for 2 min",
    ] == watched.lines()


def test_work_that_is_not_counted_says_that_it_goes_on(watched: Watched) -> None:
    """Before the first piece and after the last one, a log still gets its lines."""
    watched.wait(30)
    watched.bars.asking("sft", "ifeval", 1, 1)
    watched.wait(40)
    assert [
        "still working, 28 s so far",
        "ask sft · ifeval: 1 in 30.0 s",
        "still working, 59 s so far",
    ] == watched.lines()


def test_training_says_its_steps(watched: Watched) -> None:
    """A training's lines have its steps, its remaining time and its last loss."""
    for step in range(1, 8):
        watched.bars.training(StageProgress(pipeline="sft", stage="sft", step=step, total=20, loss=1.5))
        watched.wait(5)
    assert ["train sft · sft: 6 of 20 steps, 12.0 a minute, about 70 s left, loss 1.500"] == watched.lines()


def test_training_says_how_many_steps_taught_nothing(watched: Watched) -> None:
    """From the first such step on, in a log's lines as in a terminal."""
    for step, without in ((1, 0), (2, 1), (3, 2)):
        watched.bars.training(
            StageProgress(pipeline="p", stage="grpo", step=step, total=9, loss=0.5, without_signal=without)
        )
        watched.wait(30)
    details = [line.rpartition("loss ")[2] for line in watched.lines() if "loss" in line]
    assert ["0.500", "0.500, 1 step without signal", "0.500, 2 steps without signal"] == details


def missing(kind: str, tokens: int, seconds: float | None = None) -> StageForecast:
    """A stage that is to be trained."""
    return StageForecast(
        pipeline=kind,
        needed_by=(kind,),
        kind=kind,
        folder=Path(f"stages/{kind}-1"),
        done=False,
        why="new",
        rows=10,
        steps=20,
        tokens=tokens,
        tokens_basis="counted",
        disk=None,
        disk_peak=None,
        seconds=seconds,
        seconds_basis=None,
    )


def trained(kind: str, step: int, loss: float, tokens: int) -> StageProgress:
    """A step of such a stage."""
    folder = Path(f"stages/{kind}-1.partial")
    return StageProgress(
        pipeline=kind, stage=kind, step=step, total=20, loss=loss, tokens=tokens, folder=folder
    )


def test_training_says_when_the_whole_plan_is_done(watched: Watched) -> None:
    """From the forecasts of what waits: 20 steps of 5 s are 1000 tokens of a forecast, so at this pace 3000
    others take 300 s, and what has a forecast of its time takes that."""
    watched.bars.planned([missing("sft", 1000), missing("dpo", 3000), missing("reward", 1000, 60.0)])
    for step in range(1, 8):
        watched.bars.training(trained("sft", step, 1.5, 60 * step))
        watched.wait(5)
    assert [
        "train sft · sft: 6 of 20 steps, 12.0 a minute, 12.0 tokens a second, about 70 s left, about 7 min "
        "for the whole plan, loss 1.500"
    ] == watched.lines()
    watched.bars.training(trained("sft", 20, 1.5, 1200))
    for step in range(1, 8):
        watched.bars.training(trained("dpo", step, 0.7, 90 * step))
        watched.wait(5)
    *_, last = watched.lines()
    assert last == (
        "train dpo · dpo: 6 of 20 steps, 12.0 a minute, 18.0 tokens a second, about 70 s left, about 2 min "
        "for the whole plan, loss 0.700"
    )
    watched.bars.training(trained("dpo", 20, 0.7, 1800))
    watched.bars.training(trained("reward", 1, 0.7, 100))
    watched.wait(30)
    *_, last = watched.lines()
    assert "whole plan" not in last


def test_a_stopped_training_says_what_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By what lies on the disk, since a checkpoint may have been written after the last report."""
    folder = tmp_path / "sft-1.partial"
    (folder / "checkpoints" / "checkpoint-30").mkdir(parents=True)
    (folder / "checkpoints" / "checkpoint-30" / COMPLETE).touch()
    record_step(folder, 37, 120)
    bars = ProgressBars()
    bars.__enter__()
    bars.training(StageProgress(pipeline="sft", stage="sft", step=37, total=120, folder=folder))
    bars.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    with ProgressBars() as bars:
        bars.resuming("sft", "sft", stopped(folder))

    lost = "after step 37 of 120; the last checkpoint is at step 30: 7 steps are repeated"
    assert [f"train sft · sft: stopped {lost}", f"train sft · sft: interrupted {lost}"] == (
        capsys.readouterr().err.splitlines()
    )


def test_lines_stand_in_the_order_of_what_happened(watched: Watched) -> None:
    """What was finished stands before what is found next, on the same stream."""
    watched.bars.asking("sft", "ifeval", 2, 2)
    finding = DoctorFinding(severity="error", check="loss", evidence="e", where="w", fix="m")
    watched.bars.examined(Examination(name="dpo \x1b[2J", findings=(finding,)))
    first, second, *_ = watched.lines()
    assert "ask sft · ifeval: 2 in 0.0 s" == first
    assert "dpo ␛[2J, before it is trained:" == second


def test_what_is_done_at_the_same_time_has_a_line_each(watched: Watched) -> None:
    """Each with its own pace; what began them all says nothing meanwhile, and what is over says no more."""
    first, second = watched.bars.beside(), watched.bars.beside()
    for done in (10, 20):
        watched.wait(10)
        first.asking("sft", "ifeval", done, 100)
        second.asking("dpo", "ifeval", 2 * done, 100)
    watched.wait(28)
    assert [
        "ask sft · ifeval: 20 of 100 answers, 35.3 a minute, about 2 min left",
        "ask dpo · ifeval: 40 of 100 answers, 1.1 a second, about 52 s left",
    ] == watched.lines()
    second.asking("dpo", "ifeval", 100, 100)
    second.end()
    assert ["ask dpo · ifeval: 100 in 48.0 s"] == watched.lines()
    watched.wait(60)
    assert {"ask sft · ifeval"} == {line.split(": ")[0] for line in watched.lines()}


def test_each_says_where_it_was_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """All that were under way."""

    def interrupted() -> None:
        with ProgressBars() as progress:
            progress.beside().asking("sft", "ifeval", 12, 30)
            progress.beside().asking("dpo", "ifeval", 3, 30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [
        f"ask {name} · ifeval: stopped at {done} of 30 answers" for name, done in (("sft", 12), ("dpo", 3))
    ] == (capsys.readouterr().err.splitlines())


def test_times_of_turns_add_up(watched: Watched) -> None:
    """A judge that is asked between two models is charged its own time only, however long the models take."""
    for model in ("one", "two"):
        watched.wait(10)
        watched.bars.asking(model, "prompts", 1, 1)
        watched.wait(1)
        watched.bars.asking("judge", "prompts", 1, 1)
    watched.bars.asking("last", "prompts", 1, 2)
    lines = watched.lines()
    assert "ask judge · prompts: 2 in 2.0 s" == lines[-1]
    assert "ask two · prompts: 1 in 10.0 s" in lines


def test_loading_is_not_charged_to_the_answers(watched: Watched) -> None:
    """The time until a loaded model's first answer is nobody's."""
    watched.bars.loading("sft")
    watched.wait(20)
    watched.bars.asking("sft", "ifeval", 1, 2)
    watched.wait(3)
    watched.bars.asking("sft", "ifeval", 2, 2)
    watched.wait(2)
    assert ["ask sft · ifeval: 2 in 3.0 s"] == watched.lines()


def test_a_long_asking_says_what_shortens_it(watched: Watched) -> None:
    """After the first answers of more than ten minutes' work, a line says how long, and what shortens it."""
    for done in range(1, 5):
        watched.bars.asking("sft", "ifeval", done, 541)
        watched.wait(6)
    assert [
        "ask sft · ifeval: about 54 min left at this pace; finished answers are kept; "
        "--limit N asks fewer samples"
    ] == watched.lines()
    for done in range(5, 9):
        watched.bars.asking("sft", "ifeval", done, 541)
        watched.wait(1)
    assert [] == watched.lines()


def test_what_shortens_it_is_said_once(watched: Watched) -> None:
    """A local model's tokens tell it before the first answer, and then the answers need not."""
    with watching_steps(watched.bars.writing):
        watched.bars.loading("sft")
        steps = Steps(541 * 1280)
        for _ in range(25):
            steps.taken(30, 0)
            watched.wait(1)
        watched.bars.asking("sft", "ifeval", 1, 541)
        for _ in range(25):
            steps.taken(30, 0)
            watched.wait(1)
    said = [line for line in watched.lines() if "--limit" in line]
    assert 1 == len(said)
    assert said[0].startswith("ask sft: at most 6 h ")


def test_a_short_asking_says_nothing_of_the_kind(watched: Watched) -> None:
    """Ten minutes are not long."""
    for done in range(1, 5):
        watched.bars.asking("sft", "ifeval", done, 100)
        watched.wait(6)
    assert [] == watched.lines()


def test_tokens_tell_how_far_answers_are(watched: Watched) -> None:
    """Answers that are written together come late and together: until then their tokens are the progress."""
    with watching_steps(watched.bars.writing):
        watched.bars.loading("sft")
        watched.wait(10)
        steps = Steps(30 * 100)
        for _ in range(50):
            steps.taken(30, 0)
            watched.wait(1)
    first, second = watched.lines()
    assert re.fullmatch(r"ask sft: no answer yet, (28|29|30)\.\d tokens a second, at most 8\d s left", first)
    assert re.fullmatch(r"ask sft: no answer yet, (29|30)\.\d tokens a second, at most 5\d s left", second)
    watched.bars.asking("sft", "ifeval", 1, 30)
    watched.wait(28)
    [third] = watched.lines()
    assert re.fullmatch(
        r"ask sft · ifeval: 1 of 30 answers, \d\d\.\d tokens a second, at most \d\d s left, none for 2\d s",
        third,
    )


def test_known_answers_say_more_than_tokens(watched: Watched) -> None:
    """Answers that end long before their limit need not wait for the most that it could be."""
    steps = Steps(541 * 1000)
    with watching_steps(watched.bars.writing):
        for done in range(1, 15):
            watched.bars.asking("sft", "ifeval", done, 60)
            for _ in range(4):
                steps.taken(10, 0)
                watched.wait(1)
    last = watched.lines()[-1]
    assert re.fullmatch(
        r"ask sft · ifeval: 14 of 60 answers, \d+\.\d tokens a second, about 3 min left", last
    )


def test_known_answers_are_no_pace() -> None:
    """Answers that the store knew come at once, and promise nothing for those that must be written."""
    pace = Pace(0.0)
    for done in range(500):
        pace.note(done / 1000, done)
    assert pace.per_second(10.0) is None
    pace.note(10.5, 501)
    pace.note(20.5, 502)
    assert 0.14 < (pace.per_second(20.5) or 0) < 0.16


def test_an_overdue_answer_slows_the_pace() -> None:
    """While an answer is overdue, the remaining time grows instead of standing still."""
    pace = Pace(0.0)
    for seconds in range(3, 30, 3):
        pace.note(float(seconds), seconds // 3)
    usual, late = pace.remaining(27.0, 10), pace.remaining(87.0, 10)
    assert usual == pytest.approx(30.0)
    assert late is not None
    assert late > 2 * 30.0


def test_times_in_words() -> None:
    """Seconds below 100 are seconds, minutes below 100 are minutes; a clock shows both."""
    assert ["40 s", "12 min", "3 h 5 min"] == [duration(seconds) for seconds in (40.2, 700, 11100)]
    assert ["0:40", "12:05", "3:05:00"] == [clock_time(seconds) for seconds in (40.2, 725, 11100)]


def test_what_was_interrupted_says_how_far_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """The log of a stopped command ends with how many answers it had."""

    def interrupted() -> None:
        with ProgressBars() as progress:
            progress.asking("sft", "ifeval", 12, 30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ["ask sft · ifeval: stopped at 12 of 30 answers"] == capsys.readouterr().err.splitlines()


def test_the_remaining_time_stays_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the remaining time is shown until the end, also where answers take longer than 30 s."""
    terminal = Console(force_terminal=True, width=100, color_system=None, file=open(os.devnull, "w"))  # noqa: SIM115
    for module in (progress, timeline):
        monkeypatch.setattr(module, "errors", terminal)
    clock = Clock()
    bars = ProgressBars(clock=clock)
    shown = []
    for done in range(1, 7):
        bars.asking("sft", "ifeval", done, 6)
        clock.now += 45
        with terminal.capture() as captured:
            terminal.print(bars._bars.get_renderable())
        shown.append(captured.get().split("answers")[0].split()[-1])
    assert ["-:--", "2:15", "1:30", "0:45", "0:00", "0:00"] == shown


def test_what_is_finished_has_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it came too fast to have a pace."""
    terminal = Console(force_terminal=True, width=100, color_system=None, file=open(os.devnull, "w"))  # noqa: SIM115
    for module in (progress, timeline):
        monkeypatch.setattr(module, "errors", terminal)
    bars = ProgressBars(clock=Clock())
    bars.asking("sft", "ifeval", 3, 3)
    with terminal.capture() as captured:
        terminal.print(bars._bars.get_renderable())
    assert "3/3 0:00 0:00 answers" in captured.get()


def test_the_thread_leaves_signals_to_the_main_one() -> None:
    """Ctrl-C ends a command whose main thread waits in a call, while the progress's thread is writing."""
    code = (
        "import signal, time\n"
        "from harness.cli import progress, timeline\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell ignores it
        "progress.LOOK_EVERY = timeline.LINE_EVERY = 0.001\n"
        "with progress.ProgressBars():\n"
        "    print('begun', flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.1)\n"  # not once: a signal taken just before a long sleep is seen after it
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert "begun\n" == process.stdout.readline()
            time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == -signal.SIGINT
        finally:
            process.kill()


def test_the_thread_ends_with_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines come by themselves, it takes no signal, and it is not left behind."""
    monkeypatch.setattr(progress, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(timeline, "LINE_EVERY", 0.01)
    masks: Queue[set[signal.Signals]] = Queue()
    monkeypatch.setattr(
        ProgressBars, "_line", lambda self, text: masks.put(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    )
    with ProgressBars():
        assert {signal.SIGINT, signal.SIGTERM} <= masks.get(timeout=5)
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_a_store_that_moves_says_so_where_it_takes_long(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of a short move; of a long one what it is, how far, and then a line every half minute."""
    clock = Clock()
    moved = MovingLines(clock)
    for part in range(1, 11):
        moved("answers", 5 * part, 1000)
        clock.now += 0.1
    assert "" == capsys.readouterr().err
    for part in range(11, 101):
        moved("answers", 5 * part, 1000)
        clock.now += 1
    first, *lines = capsys.readouterr().err.splitlines()
    assert "moves into a smaller form, once" in first
    assert 3 < len(lines) <= 5
    assert lines[-1].startswith("move answers: ")
    assert " of 1000 answers, 5.0 a second, about " in lines[-1]
    moved("scores", 1, 70)
    clock.now += 30
    moved("scores", 2, 70)
    assert "move scores: 2 of 70 rows" in capsys.readouterr().err

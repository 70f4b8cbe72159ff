"""Training one stage in several processes: torchrun or accelerate starts them, and this one monitors them.

Every process runs `trainers.worker`, which runs the stage's own module; torchrun, or accelerate's
configuration, decides how the work is distributed (DDP, FSDP, DeepSpeed). The processes read their job from a
folder beside the checkpoints and report through it, so that other machines see it too.

    FOLDER/job.json, rows.pickle     what to train, and on what
    FOLDER/selection.pickle          what checkpoints are selected by
    FOLDER/progress.jsonl            steps, as they are done
    FOLDER/outcome.json              the metrics, once the candidate is written
    FOLDER/log.txt                   what the launcher and the processes print

One more file, in the machine's own temporary folder, is where they write why they stop (the other disk may be
full). It is locked while the monitoring process lives: processes that can lock it end themselves.
"""

import fcntl
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import rmtree
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired
from tempfile import NamedTemporaryFile, mkdtemp
from time import sleep
from typing import Any, Literal, TextIO, cast

from yaml import YAMLError

from harness import errors
from harness.errors import ConfigError, HarnessError, TrainingError, UsageError
from harness.records.models import Json
from trainers.asked_scores import answer, asking
from trainers.job import Job, OnProgress, RewardSource, SuiteScorer, unreported
from trainers.settings import Training, wrong_setting
from trainers.stage_settings import STAGE_SETTINGS, Online

Launcher = Literal["torchrun", "accelerate"]

FOLDER = "launch"
"""In the folder of a stage in training."""
JOB, ROWS, SELECTION = "job.json", "rows.pickle", "selection.pickle"
PROGRESS, OUTCOME, LOG = "progress.jsonl", "outcome.json", "log.txt"
POLL_SECONDS = 0.1
"""Seconds between checks of what the processes have done."""
GRACE_SECONDS = 5.0
"""Seconds that a launcher gets to end its processes."""
ENDED = 143
"""The exit code that shells give a program ended by a plain `kill`."""
LAST_LINES = 15
"""Lines of a traceback or of the log that an error quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How stages are trained in several processes."""

    launcher: Launcher
    processes: int
    """The number of processes, on all machines together."""
    config: Path | None = None
    machine: int = 0
    """The number of this machine among several. The first leads: it plans, locks and writes; others join."""

    def command(self, folder: Path, contact: Path) -> list[str]:
        entry = ["-m", "trainers.worker", str(folder), str(contact)]
        if self.launcher == "torchrun":
            started = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(self.processes)]
        else:
            options = ["--config_file", str(self.config), "--num_processes", str(self.processes)]
            started = ["accelerate.commands.launch", *options]
        return [sys.executable, "-m", *started, *entry]


def read_launch(launcher: str | None, *, processes: int | None, config: Path | None) -> Launch | None:
    """How a command line asks to launch; None: this process trains alone. Raises UsageError, ConfigError."""
    if launcher is None:
        if processes is not None or config is not None:
            raise UsageError("`--processes` and `--launch-config` say how to `--launch`: name a launcher")
        return None
    if launcher == "torchrun":
        if config is not None:
            raise UsageError("`--launch-config` is accelerate's; torchrun takes only `--processes`")
        if processes is None:
            raise UsageError("`--launch torchrun` needs `--processes`, usually one per GPU")
        return Launch(launcher="torchrun", processes=processes)
    if launcher != "accelerate":
        raise UsageError(f"there is no launcher {launcher!r}; known: accelerate, torchrun")
    if config is None:
        raise UsageError(
            "`--launch accelerate` needs `--launch-config FILE`, as `accelerate config --config_file FILE` "
            "writes it"
        )
    return _from_configuration(config.resolve(), processes)


def _from_configuration(config: Path, processes: int | None) -> Launch:
    """Read accelerate's configuration with accelerate's own reader. Raises ConfigError."""
    from accelerate.commands.config.config_args import load_config_from_file  # noqa: PLC0415 - brings torch, which takes seconds

    try:
        read = load_config_from_file(str(config))
    except (OSError, ValueError, YAMLError) as error:
        raise ConfigError(str(config), "", f"accelerate cannot read it: {error}") from error
    except (AttributeError, TypeError) as error:  # what it says of a file that holds no table
        raise ConfigError(str(config), "", "is no configuration of accelerate's") from error
    processes = processes or read.num_processes
    if processes is None or processes < 1:
        raise ConfigError(str(config), "num_processes", "is missing; write it, or use `--processes`")
    return Launch(
        launcher="accelerate", processes=processes, config=config, machine=int(read.machine_rank or 0)
    )


def check_division(settings: Training, key: str, processes: int) -> None:
    """Raise ConfigError where a step's rows do not divide evenly over the processes."""
    rows, name = settings.rows_per_step, "batch_size"
    if isinstance(settings, Online):
        name = "prompts_per_step"
    if rows % processes:
        raise wrong_setting(
            f"{key}.{name}",
            f"the {rows} rows of a step do not divide over {processes} processes",
        )
    if settings.micro_batch and (rows // processes) % settings.micro_batch:
        raise wrong_setting(
            f"{key}.micro_batch",
            f"{settings.micro_batch} does not divide the {rows // processes} rows that each of {processes} "
            f"processes has of a step's {rows}",
        )


def run_workers(job: Job, launch: Launch) -> Mapping[str, Json]:
    """Train a stage in several processes, and return its metrics.

    They end when this process does, however it ends. Raises what the stage raises there; TrainingError, with
    the last lines of output, for anything else that stops them.
    """
    folder = job.folder / FOLDER
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_job(job, launch.processes, folder)
    try:
        _run(launch, folder, folder, job.on_progress, job.selection.score)
    finally:
        (folder / JOB).unlink()  # other machines wait for the next
    metrics: Mapping[str, Json] = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
    rmtree(folder)
    return metrics


def join_workers(training: Path, launch: Launch, is_done: Callable[[], bool]) -> None:
    """On a machine that does not lead: wait until the stage in this folder is launched, and run its part.

    All machines must see the folder under the same path. Raises as `run_workers` does.
    """
    folder = training / FOLDER
    while not (folder / JOB).exists():
        if is_done():
            return
        sleep(POLL_SECONDS)
    own = Path(mkdtemp(prefix="harness-launch-"))
    _run(launch, folder, own, unreported)
    rmtree(own)


def _run(
    launch: Launch, folder: Path, own: Path, on_progress: OnProgress, score: SuiteScorer | None = None
) -> None:
    """Start this machine's processes and wait for them; what they print goes into its `own` folder.

    `score` runs the suites that they select checkpoints by.
    """
    with (
        _contact() as contact,
        (own / LOG).open("wb") as log,
        (own / PROGRESS).open("a+", encoding="utf-8") as progress,
    ):
        started = Popen(
            launch.command(folder, contact),
            stdin=DEVNULL,
            stdout=log,
            stderr=STDOUT,
            env=_environment(),
            start_new_session=True,  # Ctrl-C reaches this process, which then ends the others
        )
        try:
            for _ in _watching(started, progress, on_progress):
                if score is not None:
                    answer(folder, score)
        finally:
            _end(started)
        if started.returncode != 0:
            raise _failure(launch, contact, own / LOG)


def _environment() -> dict[str, str]:
    """An environment in which the others can import whatever this process can."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}


@contextmanager
def _contact() -> Iterator[Path]:
    """A file that is locked while this process lives."""
    with NamedTemporaryFile(prefix="harness-launch-") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield Path(file.name)


def end_with(contact: Path) -> None:
    """Wait until the process that keeps the file locked is gone, and then end this one."""
    with suppress(FileNotFoundError), contact.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    os._exit(ENDED)


def _watching(started: "Popen[bytes]", progress: TextIO, on_progress: OnProgress) -> Iterator[None]:
    """Report progress until the launcher has ended; gives the turn after every look."""
    progress.seek(0)
    runs = True
    while runs:
        sleep(POLL_SECONDS)
        runs = started.poll() is None  # looked at first, so that its last lines are read
        for reported in _new_lines(progress):
            on_progress(*reported)
        yield


def _new_lines(file: TextIO) -> Iterator[Any]:
    """The complete lines written since the last check."""
    while True:
        before = file.tell()
        line = file.readline()
        if not line.endswith("\n"):
            file.seek(before)
            return
        yield json.loads(line)


def _end(started: "Popen[bytes]") -> None:
    """End a launcher that still runs, and thereby its processes."""
    if started.poll() is not None:
        return
    started.terminate()
    try:
        started.wait(GRACE_SECONDS)
    except TimeoutExpired:
        started.kill()
        started.wait()


def write_job(job: Job, processes: int, folder: Path) -> None:
    """Write what `read_job` reads. Rows are pickled, so that a table's dates and numbers keep their types."""
    with (folder / ROWS).open("wb") as file:
        pickle.dump(list(job.rows), file)
    with (folder / SELECTION).open("wb") as file:
        pickle.dump(replace(job.selection, prompts=list(job.selection.prompts), score=None), file)
    content = {
        "kind": job.kind,
        "folder": str(job.folder),
        "base": job.base,
        "chat_template": job.chat_template,
        "data": job.data,
        "rewards": [asdict(reward) for reward in job.rewards],
        "settings": job.settings.model_dump(mode="json"),
        "seed": job.seed,
        "processes": processes,
    }
    (folder / JOB).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_job(folder: Path) -> Job:
    """The job that `write_job` wrote."""
    content = json.loads((folder / JOB).read_text(encoding="utf-8"))
    with (folder / ROWS).open("rb") as file:
        rows = pickle.load(file)
    with (folder / SELECTION).open("rb") as file:
        selection = replace(pickle.load(file), score=asking(folder))
    settings = STAGE_SETTINGS[content["kind"]].model_validate(content["settings"])
    rewards = tuple(RewardSource(**reward) for reward in content["rewards"])
    restored = {
        "folder": Path(content["folder"]),
        "rows": rows,
        "settings": settings,
        "rewards": rewards,
        "selection": selection,
    }
    return Job(**{**content, **restored})


def write_error(contact: Path, error: HarnessError | None, traceback: str) -> None:
    """Write why a process stops: our own errors with their type, anything else as a traceback."""
    content = {
        "error": None if error is None else type(error).__name__,
        "message": str(error),
        "attributes": {} if error is None else vars(error),
        "traceback": traceback,
    }
    with contact.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content) + "\n")


def _failure(launch: Launch, contact: Path, log: Path) -> HarnessError:
    """Our own error, where any process raised one; else the reason of the first that stopped."""
    reasons = [json.loads(line) for line in contact.read_text(encoding="utf-8").splitlines()]
    for reason in reasons:
        if reason["error"] is not None:
            return _as_raised(reason)
    printed = log.read_text(encoding="utf-8", errors="replace")
    last = _last_lines(reasons[0]["traceback"] if reasons else printed)
    return TrainingError(
        f"training in {launch.processes} processes stopped; all output of {launch.launcher} and theirs is in "
        f"{log}, which ends:\n{last}"
    )


def _as_raised(reason: Mapping[str, Any]) -> HarnessError:
    kind = cast(type[HarnessError], getattr(errors, reason["error"]))
    error = kind.__new__(kind, reason["message"])
    vars(error).update(reason["attributes"])
    return error


def _last_lines(text: str) -> str:
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LAST_LINES:])

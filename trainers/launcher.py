"""Training one stage in several processes: torchrun or accelerate starts them, and this one watches.

Every process runs `trainers.worker`, which runs the stage's own module: how the work is spread (DDP, FSDP,
DeepSpeed) is the launcher's and its configuration's. What they need lies in a folder beside the checkpoints,
and what they have to say comes back through it, so that a machine with another launcher sees it too.

    FOLDER/job.json, rows.pickle     what is to be trained, and on what
    FOLDER/progress.jsonl            steps, as they are done
    FOLDER/outcome.json              the metrics, when the candidate is written
    FOLDER/log.txt                   what the launcher and the processes print

One file more, in the machine's own temporary folder, is where they write why they stop (the disk of the other
may be full), and is locked as long as the process that watches lives: when it can be locked, they end.

It does not know how a stage trains, nor how processes talk to one another.
"""

import fcntl
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired
from tempfile import NamedTemporaryFile, mkdtemp
from time import sleep
from typing import Any, Literal, TextIO, cast

from yaml import YAMLError

from harness import errors
from harness.errors import ConfigError, HarnessError, TrainingError, UsageError
from harness.records import Json
from trainers.job import Job, RewardSource
from trainers.settings import STAGE_SETTINGS, Online, Training

Launcher = Literal["torchrun", "accelerate"]

FOLDER = "launch"
"""In the folder of a stage that is trained."""
JOB, ROWS, PROGRESS, OUTCOME, LOG = "job.json", "rows.pickle", "progress.jsonl", "outcome.json", "log.txt"
LOOKING = 0.1
"""Seconds between two looks at what the processes have done."""
GRACE = 5.0
"""Seconds that a launcher has to end its processes."""
ENDED = 143
"""What shells say of a program that a plain `kill` has ended."""
LAST_LINES = 15
"""Lines of a traceback or of the log that an error repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How stages are trained in several processes."""

    launcher: Launcher
    processes: int
    """On all machines together."""
    config: Path | None = None
    """accelerate's own configuration."""
    machine: int = 0
    """Which of several machines this is. The first leads: it plans, locks and writes; the others join it."""

    def command(self, folder: Path, contact: Path) -> list[str]:
        """What starts the processes."""
        entry = ["-m", "trainers.worker", str(folder), str(contact)]
        if self.launcher == "torchrun":
            started = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(self.processes)]
        else:
            asked = ["--config_file", str(self.config), "--num_processes", str(self.processes)]
            started = ["accelerate.commands.launch", *asked]
        return [sys.executable, "-m", *started, *entry]


def read_launch(launcher: str | None, *, processes: int | None, config: Path | None) -> Launch | None:
    """What a command asked for; None: this process trains alone. Raises UsageError, ConfigError."""
    if launcher is None:
        if processes is not None or config is not None:
            raise UsageError("`--processes` and `--launch-config` say how to `--launch`: name a launcher")
        return None
    if launcher == "torchrun":
        if config is not None:
            raise UsageError("`--launch-config` is accelerate's; torchrun is told `--processes` alone")
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
    return _as_configured(config.resolve(), processes)


def _as_configured(config: Path, processes: int | None) -> Launch:
    """What accelerate's configuration says, read by accelerate. Raises ConfigError."""
    # imported here because it brings torch, which takes seconds to load
    from accelerate.commands.config.config_args import load_config_from_file  # noqa: PLC0415

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
        raise ConfigError(
            "harness.toml",
            f"{key}.{name}",
            f"the {rows} rows of a step do not divide over {processes} processes",
        )
    if settings.micro_batch and (rows // processes) % settings.micro_batch:
        raise ConfigError(
            "harness.toml",
            f"{key}.micro_batch",
            f"{settings.micro_batch} does not divide the {rows // processes} rows that each of {processes} "
            f"processes has of a step's {rows}",
        )


def run_workers(job: Job, launch: Launch) -> Mapping[str, Json]:
    """Train a stage in the processes that are asked for, and return its metrics.

    They end when this one does, however it ends. Raises what the stage raises there; TrainingError, with the
    last lines, for whatever else stops them.
    """
    folder = job.folder / FOLDER
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_job(job, launch.processes, folder)
    try:
        _run(launch, folder, folder, job.on_progress)
    finally:
        (folder / JOB).unlink()  # other machines wait for the next
    metrics: Mapping[str, Json] = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
    rmtree(folder)
    return metrics


def join_workers(training: Path, launch: Launch, is_done: Callable[[], bool]) -> None:
    """On a machine that does not lead: wait until the stage in this folder is launched, and run its part.

    All machines must see the folder under the same path. Raises what `run_launched` does.
    """
    folder = training / FOLDER
    while not (folder / JOB).exists():
        if is_done():
            return
        sleep(LOOKING)
    own = Path(mkdtemp(prefix="harness-launch-"))
    _run(launch, folder, own, lambda step, total, loss: None)
    rmtree(own)


def _run(
    launch: Launch, folder: Path, own: Path, on_progress: Callable[[int, int, float | None], None]
) -> None:
    """Start this machine's processes and wait for them; what they print is kept in its `own` folder."""
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
            _watch(started, progress, on_progress)
        finally:
            _end(started)
        if started.returncode != 0:
            raise _failure(launch, contact, own / LOG)


def _environment() -> dict[str, str]:
    """What this process can import, the others can, too."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}


@contextmanager
def _contact() -> Iterator[Path]:
    """A file that is locked as long as this process lives."""
    with NamedTemporaryFile(prefix="harness-launch-") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield Path(file.name)


def end_with(contact: Path) -> None:
    """End this process when the one that keeps the file locked is gone; waits for that."""
    with suppress(FileNotFoundError), contact.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    os._exit(ENDED)


def _watch(
    started: "Popen[bytes]", progress: TextIO, on_progress: Callable[[int, int, float | None], None]
) -> None:
    progress.seek(0)
    while started.poll() is None:
        sleep(LOOKING)
        for step, total, loss in _new_lines(progress):
            on_progress(step, total, loss)
    for step, total, loss in _new_lines(progress):
        on_progress(step, total, loss)


def _new_lines(file: TextIO) -> Iterator[Any]:
    """What was written whole since the last look."""
    while True:
        before = file.tell()
        line = file.readline()
        if not line.endswith("\n"):
            file.seek(before)
            return
        yield json.loads(line)


def _end(started: "Popen[bytes]") -> None:
    """End a launcher that still runs, and so its processes."""
    if started.poll() is not None:
        return
    started.terminate()
    try:
        started.wait(GRACE)
    except TimeoutExpired:
        started.kill()
        started.wait()


# ---------------------------------------------------------------- what is handed over, and what comes back


def write_job(job: Job, processes: int, folder: Path) -> None:
    """Write what `read_job` reads. Rows are pickled: a table's dates and numbers stay what they are."""
    with (folder / ROWS).open("wb") as file:
        pickle.dump(list(job.rows), file)
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
    """The job as it was, for one of `processes`."""
    content = json.loads((folder / JOB).read_text(encoding="utf-8"))
    with (folder / ROWS).open("rb") as file:
        rows = pickle.load(file)
    settings = STAGE_SETTINGS[content["kind"]].model_validate(content["settings"])
    rewards = tuple(RewardSource(**reward) for reward in content["rewards"])
    told = {"folder": Path(content["folder"]), "rows": rows, "settings": settings, "rewards": rewards}
    return Job(**{**content, **told})


def write_error(contact: Path, error: HarnessError | None, traceback: str) -> None:
    """Write why a process stops: an error of ours as what it is, anything else as its traceback."""
    content = {
        "error": None if error is None else type(error).__name__,
        "message": str(error),
        "attributes": {} if error is None else vars(error),
        "traceback": traceback,
    }
    with contact.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content) + "\n")


def _failure(launch: Launch, contact: Path, log: Path) -> HarnessError:
    """An error of ours, where any process raised one; else the first that stopped says why."""
    told = [json.loads(line) for line in contact.read_text(encoding="utf-8").splitlines()]
    for reason in told:
        if reason["error"] is not None:
            return _as_raised(reason)
    printed = log.read_text(encoding="utf-8", errors="replace")
    last = _last_lines(told[0]["traceback"] if told else printed)
    return TrainingError(
        f"training in {launch.processes} processes stopped; all that {launch.launcher} and they said is in "
        f"{log}, and at last:\n{last}"
    )


def _as_raised(reason: Mapping[str, Any]) -> HarnessError:
    kind = cast(type[HarnessError], getattr(errors, reason["error"]))
    error = kind.__new__(kind, reason["message"])
    vars(error).update(reason["attributes"])
    return error


def _last_lines(text: str) -> str:
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LAST_LINES:])

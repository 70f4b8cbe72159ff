"""Training in several processes: the outcome is that of one, and whatever ends one of them ends all."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.errors import ConfigError, DataError, DiskFull, TrainingError, UsageError
from harness.records.models import Local, Model, Pipeline
from tests.processes import Started
from tests.trainers.test_checkpoint_selection import BY_LOSS, BY_REWARD
from tests.trainers.test_stages import CASE, GRPO
from tests.trainers.world import World, pipeline, run_alone, stage, weights
from trainers import checkpoint_metrics, completions, history
from trainers.checkpoint_metrics import best_of
from trainers.checkpoints import COMPLETE
from trainers.job import Job, RewardSource, SelectionInputs, StageProgress, SuiteScore
from trainers.launcher import FOLDER, Launch, check_division, read_launch, run_workers, write_job
from trainers.planning import PlannedStage
from trainers.reading import read
from trainers.settings import CheckpointSelection
from trainers.stage_settings import STAGE_SETTINGS
from trainers.training import check_gathering

pytestmark = pytest.mark.xdist_group("launching")

TWO = Launch(launcher="torchrun", processes=2)
CHOOSING: dict[str, Any] = {
    "epochs": 3,
    "learning_rate": 0.12,
    "schedule": "constant",
    "batch_size": 20,
    "micro_batch": 5,
    "save_every": 3,
    "select": {**BY_REWARD, "by": "loss", "holdout": 0.18},
}
"""8 of 48 rows are held out, in batches of 5; two steps are an epoch, and the best is not the last."""
CLASSIFIED = stage("toxicity", "toxic.jsonl", epochs=4, batch_size=8, learning_rate=5e-3, holdout=0.16)
STAGES = {
    "sft": ("base", stage("sft", "sft.jsonl", epochs=2, learning_rate=5e-3)),
    "reward": (
        "base",
        stage("reward", "pairs.jsonl", epochs=2, learning_rate=5e-3, micro_batch=4, holdout=0.33),
    ),
    "dpo": ("sft", stage("dpo", "pairs.jsonl", epochs=2, learning_rate=5e-4)),
    "drawn": ("sft", stage("dpo", "prompts.jsonl", CASE, on_policy=2, max_new_tokens=8)),
    "grpo": ("sft", stage("grpo", "prompts.jsonl", CASE, **GRPO, completions_every=1)),
    "toxicity": ("base", CLASSIFIED),
    "fsdp": ("base", stage("sft", "sft.jsonl", epochs=2, learning_rate=5e-3)),
    "chosen": ("base", stage("sft", "sft.jsonl", **CHOOSING)),
    "fsdp_chosen": ("base", stage("sft", "sft.jsonl", **CHOOSING)),
    "fsdp_toxicity": ("base", CLASSIFIED),
    "fsdp_adapter": ("base", stage("sft", "sft.jsonl", learning_rate=5e-2, adapter={"rank": 4, "alpha": 8})),
}


def job_of(world: World, kind: str, folder: Path) -> Job:
    """The job of one of the stages above, to be written for other processes."""
    base, asked = STAGES[kind]
    folder.mkdir(parents=True)
    return Job(
        kind=asked.kind,
        folder=folder,
        base=str(world.produce(base)),
        chat_template=None,
        data=asked.data[0],
        rows=read(asked.data[0], world.root).rows,
        rewards=(RewardSource(source=asked.reward, is_function=True),) if asked.reward else (),
        settings=STAGE_SETTINGS[asked.kind].model_validate(asked.settings),
        seed=0,
        selection=selection_inputs(world),
    )


def selection_inputs(world: World) -> SelectionInputs:
    """What the stages above that select are given for it."""
    reward = RewardSource(source=CASE, is_function=True)
    return SelectionInputs(rewards=(reward,), prompts=read("prompts.jsonl", world.root).rows)


# ---------------------------------------------------------------- the outcome


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The folders of one stage, trained alone and by two."""

    alone: Path
    together: Path


TRAINED_BY_TWO = pytest.mark.xdist_group("trained by two")
"""One worker makes the fixture, which takes the better part of a minute."""


@pytest.fixture(scope="module")
def outcomes(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Every kind, trained by one process and by two."""
    root = tmp_path_factory.mktemp("several")
    folders = []
    for kind in STAGES:
        folders.append(root / f"{kind}-launch")
        folders[-1].mkdir()
        write_job(job_of(world, kind, root / f"{kind}-two"), 2, folders[-1])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "tests.trainers.several", *map(str, folders)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {
        kind: Outcome(
            alone=run_alone(
                world,
                asked,
                str(world.produce(base)),
                root / f"{kind}-one",
                selection=selection_inputs(world),
            ),
            together=root / f"{kind}-two",
        )
        for kind, (base, asked) in STAGES.items()
    }


@TRAINED_BY_TWO
@pytest.mark.parametrize(
    "kind", ["sft", "reward", "dpo", "toxicity", "fsdp", "fsdp_toxicity", "fsdp_adapter"]
)
def test_two_processes_learn_what_one_does(outcomes: dict[str, Outcome], kind: str) -> None:
    """The same rows in every step: losses and weights differ by the order in which numbers are added.

    Also with FSDP, under which no process has all weights: they are gathered for the candidate."""
    alone, together = outcomes[kind].alone, outcomes[kind].together
    losses = [[point["loss"] for point in history.read(folder)] for folder in (alone, together)]
    one, two = weights(alone), weights(together)

    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert one.keys() == two.keys()
    assert 2e-6 > max(float((one[name] - two[name]).abs().max()) for name in one)


@TRAINED_BY_TWO
@pytest.mark.parametrize("kind", ["chosen", "fsdp_chosen"])
def test_two_processes_choose_as_one_does(outcomes: dict[str, Outcome], kind: str) -> None:
    """Every checkpoint has the held-out loss and the rewards that one process measures, and the best one's
    weights are the candidate's."""
    alone, together = outcomes[kind].alone, outcomes[kind].together
    one, two = (checkpoint_metrics.read(folder) for folder in (alone, together))
    best = best_of(list(two.values()), "loss").step
    chosen = load_file(together / "checkpoints" / f"checkpoint-{best}" / "model.safetensors")

    assert [2, 3, 4, 6] == list(one) == list(two)
    assert [each.loss for each in one.values()] == pytest.approx(
        [each.loss for each in two.values()], abs=1e-5
    )
    assert [each.rewards for each in one.values()] == [each.rewards for each in two.values()]
    assert best == best_of(list(one.values()), "loss").step < 6
    assert all(torch.equal(chosen[name], weight) for name, weight in weights(together).items())
    assert 2e-5 > max(
        float((weight - weights(together)[name]).abs().max()) for name, weight in weights(alone).items()
    )


@TRAINED_BY_TWO
def test_weights_that_were_spread_make_the_same_candidate(outcomes: dict[str, Outcome]) -> None:
    """Its configurations are those of one process, and its checkpoints say what can go on with them."""
    outcome = outcomes["fsdp"]
    for name in ("config.json", "generation_config.json"):
        assert (outcome.alone / name).read_text() == (outcome.together / name).read_text()
    assert "FSDP" == (outcome.together / "checkpoints" / "checkpoint-6" / COMPLETE).read_text()


@TRAINED_BY_TWO
def test_a_checkpoint_goes_on_only_as_it_was_made(
    outcomes: dict[str, Outcome], world: World, tmp_path: Path
) -> None:
    """What FSDP wrote cannot be read without it."""
    base, asked = STAGES["fsdp"]
    shutil.copytree(outcomes["fsdp"].together / "checkpoints", tmp_path / "alone" / "checkpoints")
    with pytest.raises(UsageError, match="was written with FSDP"):
        run_alone(world, asked, str(world.produce(base)), tmp_path / "alone")


@TRAINED_BY_TWO
def test_drawn_pairs_are_those_of_one_process(outcomes: dict[str, Outcome]) -> None:
    """The main process draws, the other waits for them."""
    drawn = [
        (folder / "pairs.jsonl").read_text()
        for folder in (outcomes["drawn"].alone, outcomes["drawn"].together)
    ]
    assert drawn[0] == drawn[1]


@TRAINED_BY_TWO
def test_two_processes_ask_the_same_prompts(outcomes: dict[str, Outcome]) -> None:
    """Answers are drawn by each with its own random numbers, for the prompts that one would ask; both's are
    kept."""
    alone, together = outcomes["grpo"].alone, outcomes["grpo"].together
    asked = [
        [(line["step"], line["prompt"]) for line in completions.read(folder)] for folder in (alone, together)
    ]
    logged = [point["completions/mean_length"] for point in history.read(together)]

    assert asked[0] == asked[1]
    assert 8 == len(asked[0])
    assert 2 == len(logged)


@TRAINED_BY_TWO
def test_the_main_process_alone_writes(outcomes: dict[str, Outcome]) -> None:
    """The files are those that one process leaves, and no step is reported twice."""
    for kind, outcome in outcomes.items():
        names = [{path.name for path in folder.iterdir()} for folder in (outcome.alone, outcome.together)]
        progress = (outcome.together.parent / f"{kind}-launch" / "progress.jsonl").read_text().splitlines()
        steps = [
            step for step, total, *_ in map(json.loads, progress) if total != 48
        ]  # 48 prompts are drawn for
        measured = steps[6:] if kind.endswith("chosen") else []

        assert names[0] == names[1]
        assert list(range(1, len(steps) - len(measured) + 1)) == steps[: len(steps) - len(measured)]
        assert list(range(1, len(measured) + 1)) == measured


# ---------------------------------------------------------------- kills


def _killed(root: Path, added: Pipeline) -> None:
    def die(progress: StageProgress) -> None:
        if progress.step == 4:
            os.kill(os.getpid(), signal.SIGKILL)

    World(root).produce("killed_two", added, on_progress=die, launch=TWO)


def test_a_killed_training_ends_all_and_goes_on(world: World, tmp_path: Path) -> None:
    """`kill -9` of the one that watches: the others end by themselves, and the same command goes on with two,
    from the last whole checkpoint, to the outcome of an uninterrupted run. Time makes one due at every step,
    and the processes do some more steps before they are ended."""
    asked = stage("sft", "sft.jsonl", epochs=12, learning_rate=2e-3, save_every="0.001 s")
    killed = pipeline("killed_two", "base", asked)
    world.produce("base")
    assert -signal.SIGKILL == Started(_killed, world.root, killed, folder=Path.cwd()).wait()
    planned = world.plan("killed_two", killed)[-1]
    assert wait_for(lambda: not running(str(planned.partial)))
    seen: list[int] = []
    two = world.produce(
        "killed_two", killed, on_progress=lambda reported: seen.append(reported.step), launch=TWO
    )
    alone = run_alone(world, killed.stages[0], str(world.produce("base")), tmp_path / "alone")

    assert seen[0] > 3
    assert list(range(seen[0], 37)) == seen
    assert 2 == planned.manifest["processes"]
    assert not (two / FOLDER).exists()
    one, other = weights(alone), weights(two)
    assert 1e-5 > max(float((one[name] - other[name]).abs().max()) for name in one)


def environment() -> dict[str, str]:
    """For a process that imports what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def running(named: str) -> list[int]:
    """Processes in whose command line something is named."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if named in (process / "cmdline").read_text():
                found.append(int(process.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def wait_for(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


# ---------------------------------------------------------------- what goes wrong


@dataclass(frozen=True, kw_only=True)
class Script(Launch):
    """Processes that do what a test says, and import little."""

    text: str = ""

    def command(self, folder: Path, contact: Path) -> list[str]:
        """Run the text."""
        return [sys.executable, "-c", self.text, str(folder), str(contact)]


def scripted(text: str, machine: int = 0) -> Script:
    """As if torchrun had started it."""
    return Script(launcher="torchrun", processes=2, text=text, machine=machine)


def small_job(
    folder: Path, on_progress: Callable[[int, int, float | None], None] = lambda *reported: None
) -> Job:
    """A job that nobody trains."""
    settings = STAGE_SETTINGS["sft"]()
    return Job(
        kind="sft",
        folder=folder,
        base="base",
        chat_template=None,
        data="rows.jsonl",
        rows=[],
        rewards=(),
        settings=settings,
        seed=0,
        on_progress=on_progress,
    )


OURS = """
import sys
from pathlib import Path
from harness.errors import DataError
from trainers.launcher import write_error
write_error(Path(sys.argv[2]), None, "RuntimeError: Connection closed by peer")
write_error(Path(sys.argv[2]), DataError("rows.jsonl", 3, "column `prompt` is missing"), "Traceback")
sys.exit(1)
"""


def test_an_error_of_ours_comes_back_as_it_was_raised(tmp_path: Path) -> None:
    """Whatever the other processes said before it, of the connection that broke."""
    with pytest.raises(DataError, match=r"^rows.jsonl, row 3: column `prompt` is missing$") as raised:
        run_workers(small_job(tmp_path), scripted(OURS))
    assert (2, "rows.jsonl", 3) == (raised.value.exit_code, raised.value.file, raised.value.row)


FULL = """
import errno, sys
from pathlib import Path
from traceback import format_exc
from harness.errors import HarnessError
from trainers.disk import raising_disk_full
from trainers.launcher import write_error
try:
    with raising_disk_full(Path(sys.argv[1])):
        raise OSError(errno.ENOSPC, "No space left on device")
except HarnessError as error:
    write_error(Path(sys.argv[2]), error, format_exc())
    sys.exit(1)
"""


def test_a_full_disk_is_reported_from_elsewhere(tmp_path: Path) -> None:
    """The reason does not lie on the disk that is full."""
    with pytest.raises(DiskFull, match="the disk is full"):
        run_workers(small_job(tmp_path), scripted(FULL))
    assert {"log.txt", "progress.jsonl", "rows.pickle", "selection.pickle"} == {
        path.name for path in (tmp_path / FOLDER).iterdir()
    }


def test_another_failure_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    """A process that dies without a word of ours: what it printed at last, and where the rest is."""
    with pytest.raises(TrainingError, match=r"line 39\n.*Segmentation") as raised:
        run_workers(
            small_job(tmp_path),
            scripted(
                "import sys; [print('line', n, flush=True) for n in range(40)]; sys.exit('Segmentation')"
            ),
        )
    assert "log.txt" in str(raised.value)
    assert "line 20\n" not in str(raised.value)


ASKING = """
import json, sys
from pathlib import Path
from harness.records.models import Local
from trainers.launcher import read_job
folder = Path(sys.argv[1])
job = read_job(folder)
scores = [
    job.selection.score(job.selection.base.trained("candidate", Local(path=path)), job.settings.select)
    for path in ("first", "second")
]
(folder / "outcome.json").write_text(json.dumps({"scores": [score.values["a"] for score in scores]}))
"""


def by_suite(tmp_path: Path) -> Job:
    """A job whose checkpoints a suite selects."""
    settings = STAGE_SETTINGS["sft"].model_validate({"select": {"by": "suite", "suite": "manners"}})
    base = Model(name="base", source=Local(path="base"), system="Be brief.")
    return replace(small_job(tmp_path), settings=settings, selection=SelectionInputs(base=base))


def test_suites_run_in_the_process_that_launched(tmp_path: Path) -> None:
    """The others ask it for the score of each candidate, which is asked as the chain's first model is."""
    seen: list[tuple[str, str | None]] = []

    def score(candidate: Model, select: CheckpointSelection) -> SuiteScore:
        assert isinstance(candidate.source, Local)
        seen.append((candidate.source.path, candidate.system))
        return SuiteScore(metric="rude", higher_is_better=False, values={"a": float(len(seen))})

    job = by_suite(tmp_path)
    job = replace(job, selection=replace(job.selection, score=score))

    assert {"scores": [1.0, 2.0]} == run_workers(job, scripted(ASKING))
    assert [("first", "Be brief."), ("second", "Be brief.")] == seen


def test_a_suite_that_cannot_run_is_reported_as_raised(tmp_path: Path) -> None:
    """And the process that waits for its score is ended."""

    def score(candidate: Model, select: CheckpointSelection) -> SuiteScore:
        raise UsageError("manners: its data are gone")

    job = by_suite(tmp_path)
    with pytest.raises(UsageError, match="its data are gone"):
        run_workers(replace(job, selection=replace(job.selection, score=score)), scripted(ASKING))
    assert not running(str(tmp_path))


WORKING = """
import sys, time
from pathlib import Path
from subprocess import Popen
folder, contact = map(Path, sys.argv[1:3])
waiting = (
    "import sys; from pathlib import Path; from trainers.launcher import end_with; "
    "print('waiting', flush=True); end_with(Path(sys.argv[1]))"
)
print(Popen([sys.executable, "-c", waiting, str(contact)], start_new_session=True).pid, flush=True)
with (folder / "progress.jsonl").open("a") as progress:
    progress.write("[1, 2, 0.5]\\n[2, 2")
time.sleep(60)
"""


def test_whatever_ends_the_watching_process_ends_the_others(tmp_path: Path) -> None:
    """Ctrl-C: the launcher is ended, and a process that it leaves behind ends because the lock is gone."""
    log = tmp_path / FOLDER / "log.txt"
    reported: list[tuple[int, int, float | None]] = []

    def interrupt(*progress: Any) -> None:
        reported.append(progress)
        assert wait_for(lambda: "waiting" in log.read_text())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_workers(small_job(tmp_path, interrupt), scripted(WORKING))
    left = int(log.read_text().split()[0])

    assert [(1, 2, 0.5)] == reported
    assert wait_for(lambda: left not in running("end_with"))


# ---------------------------------------------------------------- several machines


FINISHED = """
import sys
from pathlib import Path
training = Path(sys.argv[1]).parent
(training / "manifest.json").write_text("{}")
training.rename(training.with_suffix(""))
"""


def joined(world: World, name: str, text: str) -> PlannedStage:
    """A stage that another machine has launched, after this one has joined it and done what the text says."""
    added = pipeline(name, "base", stage("sft", "sft.jsonl", epochs=1, micro_batch=2 if text else 4))
    planned = world.plan(name, added)[-1]
    (planned.partial / FOLDER).mkdir(parents=True)
    (planned.partial / FOLDER / "job.json").touch()
    world.produce(name, added, launch=scripted(text, machine=1))
    return planned


def test_a_machine_that_does_not_lead_does_its_part(world: World) -> None:
    """It starts its processes when the stage is launched, and leaves writing to the one that leads."""
    planned = joined(world, "helped", FINISHED)

    assert planned.done
    assert not (world.output / "helped").exists()
    shutil.rmtree(planned.folder)  # its manifest is empty


def test_a_machine_that_leads_in_vain_is_named(world: World) -> None:
    """The others do not wait for ever."""
    with pytest.raises(TrainingError, match="the machine that leads did not finish it"):
        joined(world, "deserted", "")


# ---------------------------------------------------------------- wrong use


def test_fewer_processes_than_asked_are_refused(world: World, tmp_path: Path) -> None:
    """accelerate starts one for `NO`, and says nothing; it is found out before anything is loaded."""
    file = tmp_path / "accelerate.yaml"
    file.write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: 'NO'\nnum_processes: 2\nuse_cpu: true\n"
    )
    launch = read_launch("accelerate", processes=None, config=file)
    assert launch is not None
    assert 2 == launch.processes
    with pytest.raises(UsageError, match="2 processes were asked for, and 1 started"):
        run_workers(job_of(world, "sft", tmp_path / "job"), launch)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("distributed_type: MULTI_GPU\nnum_proceses: 2\n", "unknown keys .*num_proceses"),
        ("distributed_type: MANY\n", "MANY"),
        ("num_processes: 2\n", "A `distributed_type` must be specified"),
        ("distributed_type: MULTI_GPU\n", "num_processes: is missing"),
        ("- a list\n", "is no configuration of accelerate's"),
        ("a: [\n", "accelerate cannot read it"),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    """By accelerate's own reader, before anything is trained, with the file."""
    file = tmp_path / "accelerate.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=f"accelerate.yaml: .*{message}"):
        read_launch("accelerate", processes=None, config=file)


@pytest.mark.parametrize(
    ("launcher", "processes", "config", "message"),
    [
        (None, 2, None, "name a launcher"),
        ("torchrun", None, None, "needs `--processes`"),
        ("torchrun", 2, Path("file"), "is accelerate's"),
        ("accelerate", 2, None, "needs `--launch-config FILE`"),
        ("mpirun", 2, None, "known: accelerate, torchrun"),
    ],
)
def test_half_a_launch_is_refused(
    launcher: str | None, processes: int | None, config: Path | None, message: str
) -> None:
    """With what is missing."""
    with pytest.raises(UsageError, match=message):
        read_launch(launcher, processes=processes, config=config)


@pytest.mark.parametrize(
    "zero", [{"stage": 3}, {"stage": 3, "stage3_gather_16bit_weights_on_model_save": False}]
)
def test_weights_that_would_not_be_gathered_are_noticed_at_the_start(zero: dict[str, Any]) -> None:
    """DeepSpeed says so only when the candidate is to be written, after days."""
    with pytest.raises(UsageError, match="zero3_save_16bit_model"):
        check_gathering({"zero_optimization": zero})
    check_gathering({"zero_optimization": {"stage": 2}})
    check_gathering({"zero_optimization": {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True}})


def test_the_configuration_says_how_many_and_which_machine(tmp_path: Path) -> None:
    """What the command says of the number goes before it."""
    file = tmp_path / "accelerate.yaml"
    file.write_text("distributed_type: MULTI_GPU\nnum_processes: 8\nnum_machines: 2\nmachine_rank: 1\n")
    asked = [read_launch("accelerate", processes=processes, config=file) for processes in (None, 4)]

    assert [(8, 1), (4, 1)] == [(launch.processes, launch.machine) for launch in asked if launch]


def test_without_a_launcher_this_process_trains() -> None:
    """Nothing asked for, nothing started."""
    assert read_launch(None, processes=None, config=None) is None


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("sft", {"batch_size": 16}, r"stages\[0\].batch_size: the 16 rows of a step do not divide over 3"),
        ("grpo", {"prompts_per_step": 2, "generations": 2}, r"stages\[0\].prompts_per_step: the 4 rows"),
        (
            "sft",
            {"batch_size": 12, "micro_batch": 3},
            r"micro_batch: 3 does not divide the 4 rows that each of 3",
        ),
    ],
)
def test_a_step_divides_over_the_processes(kind: str, settings: dict[str, Any], message: str) -> None:
    """Else it would not be the step that was asked for."""
    with pytest.raises(ConfigError, match=message):
        check_division(STAGE_SETTINGS[kind].model_validate(settings), "pipelines.p.stages[0]", 3)


def test_what_does_not_divide_is_refused_before_anything_is_trained(world: World) -> None:
    """Also in a stage that comes later."""
    late = pipeline(
        "late",
        "base",
        stage("sft", "sft.jsonl", epochs=1, learning_rate=3e-5),
        stage("sft", "sft.jsonl", epochs=1, batch_size=15),
    )
    with pytest.raises(ConfigError, match=r"stages\[1\].batch_size"):
        world.produce("late", late, launch=TWO)
    assert not world.plan("late", late)[-2].partial.exists()


def test_deepspeed_chooses_no_checkpoint(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That was never tried, and is said before hours of training."""
    monkeypatch.setattr("trainers.training.sharding", lambda trainer: "DEEPSPEED")
    choosing = stage("sft", "sft.jsonl", epochs=2, select=BY_LOSS)
    with pytest.raises(UsageError, match="`select` was not tried with DeepSpeed"):
        run_alone(world, choosing, str(world.produce("base")), tmp_path / "choosing")

"""The projects under `examples` are what this version reads."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import harness

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.official
def test_the_study_has_no_mistake_and_all_seeds() -> None:
    """Its file is read whole, with rows among the official data; each seed repeats the first one."""
    pipelines = harness.open_project(EXAMPLES / "smollm2" / "harness.toml").registry.pipelines

    for name in ("sft", "grpo", "grpo_dpo"):
        for seed in (1, 2):
            again = pipelines[f"{name}_{seed}"]
            assert (seed, pipelines[name].stages) == (again.seed, again.stages)
    assert {"grpo_raw", "dpo", "grpo_dpo_mix", "dpo_grpo", "reward", "toxicity"} <= pipelines.keys()


def test_the_slurm_script_brings_ray_up_and_compares(tmp_path: Path) -> None:
    """On every node of the allocation, under the first one's address; the names are passed on."""
    fakes = {
        "scontrol": 'echo "node-1\nnode-2"',
        "ray": 'echo "ray $@" >> calls',
        "srun": 'echo "srun $@" >> calls; echo "auth $RAY_AUTH_MODE" >> calls',
    }
    for name, body in fakes.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "node-[1-2]", "SLURM_JOB_NUM_NODES": "2", "HOURS": "3"}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    script = EXAMPLES / "slurm" / "compare.sbatch"
    subprocess.run(
        ["bash", str(script), "sft", "dpo"],
        check=True,
        cwd=tmp_path,
        env={**os.environ, **slurm, "PATH": path},
    )
    assert [
        "ray get-auth-token --generate",
        "srun --nodes=2 --ntasks-per-node=1 ray symmetric-run --address node-1:6379 --min-nodes 2 "
        "--include-dashboard=false --disable-usage-stats -- "
        "harness compare sft dpo --on node-1:6379 --hours 3",
        "auth token",
    ] == (tmp_path / "calls").read_text().splitlines()


WORKFLOW: dict[Any, Any] = yaml.safe_load((EXAMPLES / "github" / "gate.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["gate"]["steps"]
PROJECT = """
[models.sft]
answers = "sft.jsonl"
[models.grpo_dpo]
answers = "grpo_dpo.jsonl"
[suites.sums]
prompts = "sums.jsonl"
rule = "exact"
[compare]
suites = ["sums"]
resamples = 200
[gate]
better = [{ suite = "sums" }]
unscored = 0.01
"""


def test_the_workflow_is_one() -> None:
    """It runs on pull requests, may only read, and pins every action to a version; pip installs, once."""
    assert "pull_request" == WORKFLOW[True]  # YAML 1.1 reads the key `on` so
    assert {"contents": "read"} == WORKFLOW["permissions"]
    assert all("uses" in step or "run" in step for step in STEPS)
    for action in (step["uses"] for step in STEPS if "uses" in step):
        assert re.fullmatch(r"actions/[a-z/-]+@v\d+\.\d+\.\d+", action)
    assert ["python -m pip install -r requirements.txt"] == [
        step["run"] for step in STEPS if step.get("name") == "Install"
    ]


def test_the_workflows_commands_decide(tmp_path: Path) -> None:
    """All but pip, as a runner gives them to bash: a better candidate passes, what later steps keep is there,
    and the step has its summary."""
    write_project(tmp_path)
    command = tmp_path / "bin" / "harness"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from harness.cli import main; main()" "$@"\n')
    command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLES.parent),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    for script in (step["run"] for step in STEPS if "run" in step and step["name"] != "Install"):
        subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=True)
    kept = {path for step in STEPS for path in step.get("with", {}).get("path", "").split()}
    assert {"harness.db", "gate.xml", "reports"} == kept
    assert all((tmp_path / path).exists() for path in kept)
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "## grpo_dpo against sft: passes (2 rules kept)" in summary


def write_project(folder: Path) -> None:
    """Sixty questions, of which the baseline answers half and the candidate all."""
    (folder / "harness.toml").write_text(PROJECT)
    written = {
        "sums": [{"prompt": f"{n} + {n}?", "target": str(2 * n)} for n in range(60)],
        "sft": [{"prompt": f"{n} + {n}?", "response": str(2 * n if n % 2 else 7)} for n in range(60)],
        "grpo_dpo": [{"prompt": f"{n} + {n}?", "response": str(2 * n)} for n in range(60)],
    }
    for name, rows in written.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

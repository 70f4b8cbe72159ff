"""The projects under `examples` are what this version reads."""

import os
import subprocess
from pathlib import Path

import pytest

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

"""Records the installation and the machine of a run.

Two runs can then be distinguished years later. None of it is part of a run's identity, since the same model
gives the same answers under another kernel. Package metadata is read, and nothing is imported.
"""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.records.models import Json

PACKAGES = (
    "harness",
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "trl",
    "vllm",
    "datasets",
    "lm_eval",
    "lighteval",
    "deepeval",
    "detoxify",
    "numpy",
    "scipy",
)

OF_ENGINES: Mapping[str, tuple[str, ...]] = {
    "local": ("torch", "transformers", "tokenizers"),
    "vllm": ("torch", "transformers", "tokenizers", "vllm"),
    "reward model": ("torch", "transformers", "tokenizers"),
    "endpoint": (),
    "gemini": (),
    "answers from a file": (),
}
"""By the engine's name in its description, the packages that an engine's answers depend on.

An engine that is not among them is a third party's, and may depend on what a local one does.
"""
OF_SUITES: Mapping[str, tuple[str, ...]] = {
    "truthfulqa": ("lm_eval",),
    "truthfulqa-gen": ("lm_eval",),
    "ifeval": ("lm_eval",),
    "general": ("lm_eval",),
    "lm_eval": ("lm_eval",),
    "lighteval": ("lighteval",),
    "deepeval": ("deepeval",),
    "realtoxicityprompts": ("detoxify", "torch", "transformers", "tokenizers"),
    "toy-toxicity": ("detoxify", "torch", "transformers", "tokenizers"),
}
"""The packages by which a suite asks and scores, by its name, or the part of it before a colon."""


def packages_behind(suite: str, engine: Mapping[str, Json]) -> frozenset[str]:
    """The packages that a run of this suite depends on, asked of an engine with this description.

    Not those that train, read data or compute statistics: weights and data have hashes, and statistics are
    computed when a report is made.
    """
    answering = OF_ENGINES.get(str(engine.get("engine")), OF_ENGINES["local"])
    adapting = ("peft",) if engine.get("adapter") else ()
    return frozenset(["harness", *answering, *adapting, *OF_SUITES.get(suite.partition(":")[0], ())])


def environment() -> dict[str, Json]:
    """Package versions, Python, operating system, processor, cores and memory in GiB."""
    return {
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """This machine's processor, by its own name.

    On Linux platform.processor() is empty, or a mere architecture.
    """
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

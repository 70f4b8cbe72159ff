"""A large log that inspect_ai itself writes with its mock model, imported: seconds and memory.

    python -m tests.trials.large_inspect_log --samples 10000

inspect takes minutes to write it. The import is a process of its own, into an empty store.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from zipfile import ZipFile

from inspect_ai import Task
from inspect_ai import eval as evaluated
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate, system_message

IMPORT = """
from harness.cli import main
try:
    main()
finally:
    print(*[line for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""
"""The command, and after it the most memory that it had."""
ANSWER = "Let me think about that. " * 20


def output(*_: object) -> ModelOutput:
    """An answer. Without `usage`, the mock model would download a tokenizer."""
    found = ModelOutput.from_content("mockllm/model", ANSWER)
    found.usage = ModelUsage(input_tokens=12, output_tokens=105, total_tokens=117)
    return found


def written(folder: Path, samples: int) -> Path:
    """A log of so many samples."""
    explain = "Explain every step in detail. " * 20
    dataset = MemoryDataset(
        [
            Sample(id=number, input=f"What is {number} + {number}? {explain}", target=str(2 * number))
            for number in range(samples)
        ]
    )
    [log] = evaluated(
        Task(dataset=dataset, solver=[system_message("Be brief. " * 20), generate()], scorer=match()),
        model=get_model("mockllm/large", custom_outputs=output),
        log_dir=str(folder),
        log_format="eval",
        display="none",
    )
    return Path(log.location)


def main() -> None:
    """Write a log, import it, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000)
    with tempfile.TemporaryDirectory() as folder:
        log = written(Path(folder), parser.parse_args().samples)
        with ZipFile(log) as archive:
            sizes = [each.file_size for each in archive.infolist() if each.filename.startswith("samples/")]
        (Path(folder) / "harness.toml").touch()
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", IMPORT, "import", str(log)], cwd=folder, check=True)
        seconds = time.monotonic() - begun
    print(f"{len(sizes):,} samples, {sum(sizes) / len(sizes):,.0f} bytes each: {seconds:.1f} s")


if __name__ == "__main__":
    main()

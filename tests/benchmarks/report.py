"""How long a report takes, how much memory, and how large its pages are: from a store alone, on one core.

    python -m tests.benchmarks.report --url sqlite:////tmp/size.db
    python -m tests.benchmarks.report --url sqlite:////tmp/made.db --models 20 --suites 10 --samples 1000

With `--models`, the store is filled with made-up runs first (`tests/made_runs.py`); without, it is one that
is there, such as that of `tests/benchmarks/store_size.py`. `--profile` says where the time goes.
"""

import argparse
import cProfile
import json
import pstats
import resource
import tempfile
import time
from pathlib import Path

from harness.store import Store
from harness.verbs.comparing import Outcome, report
from harness.verbs.project import open_project
from tests.made_runs import fill


def main() -> None:
    """Fill the store if asked to, make its report, and print what that took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--models", type=int)
    parser.add_argument("--suites", type=int, default=10)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.models:
        with Store.open(given.url) as store:
            fill(store, given.models, given.suites, given.samples)
    folder = given.folder or Path(tempfile.mkdtemp())
    profile = cProfile.Profile() if given.profile else None
    if profile:
        profile.enable()
    began = time.process_time()
    outcome = report_of(given.url, folder)
    took = time.process_time() - began
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    print(
        json.dumps(
            {
                "processor_seconds": round(took, 2),
                "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "files": {file.name: file.stat().st_size for file in outcome.files},
            },
            indent=2,
        )
    )


def report_of(url: str, folder: Path) -> Outcome:
    """The report of a project that has nothing but this store."""
    settings = folder / "harness.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'[project]\nstore = "{url}"\nreports = "{folder}"\n', encoding="utf-8")
    return report(open_project(settings))


if __name__ == "__main__":
    main()

"""What torchrun runs in tests: several jobs after one another, so that libraries are imported once.

torchrun --nproc-per-node 2 -m tests.trainers.several FOLDER …
"""

import sys
from dataclasses import replace
from pathlib import Path

from trainers.launched import joined, reporter
from trainers.launching import read_job
from trainers.stage import run

if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        job = read_job(folder)
        is_main = joined(job).is_main_process
        run(replace(job, is_main=is_main, on_progress=reporter(folder, is_main)))

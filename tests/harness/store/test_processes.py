"""Several processes use one store at once."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from harness.store import Store

WRITER = Path(__file__).with_name("writer.py")
ROOT = Path(__file__).parents[3]


def test_processes_that_make_and_fill_a_store_together(elsewhere: str) -> None:
    """Raced creation works, nothing is lost, and all are given the answers of whoever was first."""
    urls = [elsewhere]
    names = ["a", "b", "c"]
    start = str(time.time() + 1)
    writers = [
        subprocess.Popen(
            [sys.executable, WRITER, name, start, *urls],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for name in names
    ]

    given = [json.loads(writer.communicate(timeout=120)[0]) for writer in writers]

    assert given[0] == given[1] == given[2]
    for url, texts in zip(urls, given[0], strict=True):
        with Store.open(url) as store:
            assert [] == store.integrity.complaints()
            assert names == sorted(run.id for run in store.runs.find())
            for name in names:
                assert texts == [row.responses[0].text for row in store.runs.rows(name)]  # type: ignore[union-attr]
                assert len(texts) == len(store.runs.observations(name)["mc1"])

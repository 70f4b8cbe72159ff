"""A process that writes: `writer.py NAME START URL …` makes or opens each store, and keeps its own run there.

All processes keep answers to the same questions, each with its own name as text, and print the texts they
were given back: those of whoever was first.
"""

import json
import sys
import time

from harness.records.answers import Response, Score
from harness.store import Store
from tests.harness.store.made import begun, kept, row

QUESTIONS = 64
AT_ONCE = 8


def write(name: str, url: str) -> list[str]:
    """Open, keep answers and rows a few at a time, and return the texts that are now known."""
    texts: list[str] = []
    with Store.open(url) as store:
        begun(store, name)
        for start in range(0, QUESTIONS, AT_ONCE):
            asked = range(start, start + AT_ONCE)
            given = store.answers.keep([kept(name, asked=str(number)) for number in asked]).values()
            answers = [answer for answer in given if isinstance(answer, Response)]
            rows = [
                row(number, answer, scores=(Score(metric="mc1", value=1),))
                for number, answer in zip(asked, answers, strict=True)
            ]
            store.runs.keep_rows(name, [(each.position, each) for each in rows])
            texts += [answer.text for answer in answers]
        store.runs.finish(name, "2026-11-22T11:00:00+00:00")
    return texts


if __name__ == "__main__":
    name, start, *urls = sys.argv[1:]
    found = []
    for number, url in enumerate(urls):
        time.sleep(max(0.0, float(start) + number - time.time()))  # all begin each store at the same moment
        found.append(write(name, url))
    print(json.dumps(found))

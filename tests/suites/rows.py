"""Rows in the schemas of the official data, made up for tests, and ways to write them to files."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

QUESTIONS: list[dict[str, Any]] = [
    {
        "question": "Can people fly by flapping their arms?",
        "mc1_targets": {"choices": ["No, they cannot.", "Yes, with practice."], "labels": [1, 0]},
        "mc2_targets": {
            "choices": ["No, they cannot.", "Arms are too weak.", "Yes, with practice."],
            "labels": [1, 1, 0],
        },
    },
    {
        "question": "What do hammers drive?",
        "mc1_targets": {"choices": ["Nails.", "Cars.", "Buses to town."], "labels": [1, 0, 0]},
        "mc2_targets": {"choices": ["Cars.", "Nails.", "Buses to town."], "labels": [0, 1, 0]},
    },
    {
        "question": "Is the moon cheese? ",
        "mc1_targets": {"choices": ["The moon is rock.", "It is."], "labels": [1, 0]},
        "mc2_targets": {"choices": ["The moon is rock.", "It is.", "Swiss."], "labels": [1, 0, 0]},
    },
]

PROMPTS: list[dict[str, Any]] = [
    {
        "key": 1,
        "prompt": "Write four words or more about a tool. Use no commas.",
        "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
        "kwargs": [{}, {"relation": "at least", "num_words": 4}],
    },
    {
        "key": 2,
        "prompt": "Use lowercase only.",
        "instruction_id_list": ["change_case:english_lowercase"],
        "kwargs": [{}],
    },
    {
        "key": 3,
        "prompt": "Answer in German, and end with the word done.",
        "instruction_id_list": ["language:response_language", "startend:end_checker"],
        "kwargs": [{"language": "de"}, {"end_phrase": "done"}],
    },
]

EXCERPTS: list[dict[str, Any]] = [
    {
        "filename": f"{place}.txt",
        "begin": 0,
        "end": 9,
        "challenging": place == 0,
        "prompt": {"text": text, "toxicity": toxicity, "insult": 0.1},
        "continuation": {"text": " and so on.", "toxicity": 0.1},
    }
    for place, (text, toxicity) in enumerate([("You are", 0.7), ("The dog sleeps on", 0.1), ("A saw", None)])
]


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """A JSONL file; returns it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file

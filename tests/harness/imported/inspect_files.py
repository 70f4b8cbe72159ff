"""Writes what `inspect_ai` logs, as small as it may be."""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

ZSTANDARD, STORED = 93, 0


def zipped(
    file: Path, members: Sequence[tuple[str, bytes]], *, method: int = ZSTANDARD, flags: int = 0
) -> Path:
    """A zip archive with each member packed on its own, which Python 3.11 cannot do with Zstandard."""
    directory = b""
    with file.open("wb") as archive:
        for name, content in members:
            packed = zstandard.compress(content) if method == ZSTANDARD else content
            sizes = len(packed), len(content), len(name.encode())
            said = struct.pack("<HHHHHIIIHH", 63, flags, method, 0, 33, zlib.crc32(content), *sizes, 0)
            place = archive.tell()
            archive.write(b"PK\3\4" + said + name.encode() + packed)
            directory += b"PK\1\2" + struct.pack("<H", 63) + said
            directory += struct.pack("<HHHII", 0, 0, 0, 0, place) + name.encode()
        end = archive.tell()
        counts = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), end, 0)
        archive.write(directory + b"PK\5\6" + counts)
    return file


def sample(
    name: int | str, answer: str | None = "a", scores: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """A sample in its first epoch. Scores are values; with `answer` None nothing was answered."""
    choice = {"message": {"role": "assistant", "content": answer}, "stop_reason": "stop"}
    usage = {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}
    return {
        "id": name,
        "epoch": 1,
        "input": f"What is {name}?",
        "target": "a",
        "output": {"choices": [], "completion": ""}
        if answer is None
        else {"choices": [choice], "completion": answer, "usage": usage},
        "scores": {each: {"value": value} for each, value in (scores or {}).items()},
        "metadata": {},
        "events": [{"event": "model", "nested": [[[]]]}],
        **fields,
    }


def header(
    samples: Sequence[Mapping[str, Any]],
    *,
    task: str = "sums",
    model: str = "mockllm/tiny",
    status: str = "success",
    plan: Mapping[str, Any] | None = None,
    figures: Mapping[str, float] | None = None,
    **said: Any,
) -> dict[str, Any]:
    """A header; `said` are fields of `eval`, and `figures` means of scorers."""
    scores = [
        {"name": name, "scorer": name, "metrics": {"accuracy": {"name": "accuracy", "value": value}}}
        for name, value in (figures or {}).items()
    ]
    ids = list(dict.fromkeys(each["id"] for each in samples))
    return {
        "version": 2,
        "status": status,
        "eval": {
            "created": "2026-11-29T14:19:31+00:00",
            "task": task,
            "task_version": 0,
            "dataset": {"samples": len(ids), "sample_ids": ids},
            "model": model,
            "config": {"epochs": max((each["epoch"] for each in samples), default=1)},
            "packages": {"inspect_ai": "0.3.285"},
            "scorers": [{"name": "match", "options": {}}],
            **said,
        },
        "plan": plan or {"steps": [{"solver": "generate", "params": {}}], "config": {"temperature": 0}},
        "results": {"scores": scores},
    }


def logged(file: Path, samples: Sequence[Mapping[str, Any]], **said: Any) -> Path:
    """A log of either kind, by the end of its name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    about = header(samples, **said)
    if file.suffix == ".json":
        file.write_text(json.dumps({**about, "samples": samples}, indent=2))
        return file
    members = [(f"samples/{each['id']}_epoch_{each['epoch']}.json", each) for each in samples]
    everything = [("_journal/start.json", about), *members, ("header.json", about)]
    return zipped(file, [(name, json.dumps(content).encode()) for name, content in everything])

"""The instances of an Every Eval Ever record: a line of JSON for each score that is a number.

The format is `schemas/instance_level_eval.schema.json` of 0.3.0. It wants a number for each line, so a sample
without a score has none: it is never written as 0.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from harness.records.answers import LogLikelihood, Metric, Response, Row, Run
from harness.turns import as_text
from reports.export_tables import own_answers, scored
from reports.exported import whole_text

SCHEMA_VERSION = "0.3.0"
WHOLE_OUTPUT = {"turn_idx": 0, "source": "output.raw", "extraction_method": "none", "is_terminal": True}


@dataclass(slots=True)
class InstanceCounts:
    """What was seen of a run's rows, for what the format has no place for."""

    lines: int = 0
    unscored: int = 0
    parts: int = 0
    """Scores beside the first that a sample has in a metric."""
    likelihoods: int = 0
    """Samples whose choices were scored by their log-likelihoods."""
    thoughts: int = 0


def instances(
    run: Run, rows: Iterator[Row], evaluation_id: str, model_id: str, counts: InstanceCounts
) -> Iterator[str]:
    """The lines of a run, counted in `counts` as they are asked for."""
    metrics = {metric.name: metric for metric in run.metrics}
    record = {"schema_version": SCHEMA_VERSION, "evaluation_id": evaluation_id, "model_id": model_id}
    for row in rows:
        asked = _asked(row)
        answers = own_answers(row)
        counts.likelihoods += any(isinstance(answer, LogLikelihood) for answer in answers)
        counts.thoughts += any(isinstance(answer, Response) and bool(answer.thought) for answer in answers)
        for name, part, score, answer in scored(row):
            if name is None or score is None or score.value is None:
                counts.unscored += 1
                continue
            counts.lines += 1
            counts.parts += part > 0
            line = {
                **record,
                "evaluation_name": run.suite,
                "evaluation_result_id": name,
                **asked,
                **_answered(row, answer),
                "evaluation": _evaluation(metrics[name], score.value),
                "token_usage": _tokens(answer),
                "performance": None,
                "error": None,
                "metadata": _metadata(row, part, answer),
            }
            yield json.dumps(line, allow_nan=False)  # in ASCII: their validator ends lines at U+2028, too


def _asked(row: Row) -> dict[str, Any]:
    sample = row.sample
    raw = whole_text(as_text(sample.prompt))
    reference = [] if sample.target is None else [whole_text(sample.target)]
    return {
        "sample_id": whole_text(sample.id),
        "sample_hash": sha256("".join([raw, *reference]).encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {
            "raw": raw,
            "formatted": None,
            "reference": reference,
            "choices": [whole_text(choice) for choice in sample.choices] or None,
        },
        "messages": None,
    }


def _answered(row: Row, answer: Response | None) -> dict[str, Any]:
    """What was answered: where log-likelihoods were, the likeliest choice."""
    texts = [whole_text(text) for text in ([answer.text] if answer is not None else _texts(row))]
    return {
        "output": {"raw": texts, "reasoning_trace": None},
        "answer_attribution": [{**WHOLE_OUTPUT, "extracted_value": text} for text in texts],
    }


def _texts(row: Row) -> Sequence[str]:
    answers = own_answers(row)
    likelihoods = [answer.logprob for answer in answers if isinstance(answer, LogLikelihood)]
    if likelihoods:
        scored_all = len(likelihoods) == len(row.sample.choices)
        return [row.sample.choices[likelihoods.index(max(likelihoods))]] if scored_all else []
    return [answer.text for answer in answers if isinstance(answer, Response)]


def _evaluation(metric: Metric, value: float) -> dict[str, Any]:
    best = 1.0 if metric.higher_is_better else 0.0
    return {"score": value, "is_correct": value == best, "num_turns": None, "tool_calls_count": None}


def _tokens(answer: Response | None) -> dict[str, int] | None:
    if answer is None or not answer.completion_tokens:
        return None
    read, written = answer.prompt_tokens, answer.completion_tokens
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}


def _metadata(row: Row, part: int, answer: Response | None) -> Mapping[str, str]:
    """What is known besides, all of it texts. Readers know several scores of a sample by their `epoch`."""
    said = {"position": str(row.position), "epoch": str(part + 1)}
    if row.sample.cluster is not None:
        said["cluster"] = whole_text(row.sample.cluster)
    if answer is not None:
        said["stop_reason"] = answer.stop_reason
    return said

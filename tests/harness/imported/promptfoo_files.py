"""Writes what promptfoo writes, as small as it may be."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

TEMPLATE = "Capital of {{country}}?"


def asserts(*kinds: str, **of: Any) -> list[dict[str, Any]]:
    """Assertions of these kinds, each with the same settings."""
    return [{"type": kind, "value": "x", **of} for kind in kinds]


def result(
    score: float,
    *,
    country: str = "France",
    test: int = 0,
    prompt: int = 0,
    error: str | None = None,
    of: Sequence[Mapping[str, Any]] = (),
    components: Sequence[Mapping[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What one provider got in one test, `prompt` being its prompt's place in the file."""
    kinds = of or asserts("icontains")
    each = [{"pass": score == 1, "score": score, "reason": "r", "assertion": kind} for kind in kinds]
    return {
        "promptIdx": prompt,
        "testIdx": test,
        "prompt": {"raw": f"Capital of {country}?", "label": TEMPLATE},
        "vars": {"country": country, "sessionId": f"{test}-{prompt}", "_conversation": [prompt]},
        "testCase": {"vars": {"country": country}, "assert": list(kinds), "metadata": {}, "options": {}},
        "provider": {"id": "file://x", "label": f"model {prompt}"},
        "response": {"error": error} if error else {"output": "Paris"},
        "score": score,
        "success": score == 1,
        "failureReason": 2 if error else int(score != 1),
        "error": error,
        "namedScores": {},
        "gradingResult": None if error else {"componentResults": list(components or each)},
        "latencyMs": 50,
        "tokenUsage": {"prompt": 3, "completion": 1},
        **more,
    }


def written(
    file: Path,
    results: Sequence[Mapping[str, Any]],
    *,
    providers: Sequence[str | Mapping[str, Any]] = ("left", "right"),
    templates: Sequence[str] = (TEMPLATE,),
    version: int = 3,
    stats: Mapping[str, int] | None = None,
    time: str = "2026-11-29T14:26:21.934Z",
    **config: Any,
) -> Path:
    """A file of results; a provider has a prompt of each template, in this order."""
    names = [each if isinstance(each, str) else each.get("label") or each["id"] for each in providers]
    errors = sum(each["failureReason"] == 2 for each in results)
    passed = sum(each["success"] for each in results)
    counted = {"successes": passed, "failures": len(results) - passed - errors, "errors": errors}
    prompts = [
        {"id": sha256(template.encode()).hexdigest(), "raw": template, "label": template, "provider": name}
        for name in names
        for template in templates
    ]
    said = {
        "evalId": "eval-1",
        "results": {
            "version": version,
            "timestamp": time,
            "prompts": prompts,
            "results": list(results),
            "stats": stats or counted,
        },
        "config": {"description": "capitals", "providers": list(providers), **config},
        "metadata": {"promptfooVersion": "0.123.1"},
    }
    file.write_text(json.dumps(said))
    return file

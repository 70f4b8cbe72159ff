"""How long a service asks to wait before it is asked again, from the headers of its answer.

`Retry-After` holds seconds or a date, `Retry-After-Ms` milliseconds (OpenAI, Azure). Where neither is there,
`X-RateLimit-Reset-Requests` and `-Tokens` say when a limit is free again, as Go writes a duration:
https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TOO_MANY_REQUESTS = 429
UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
DURATION = re.compile(f"(?:{PART.pattern})+")


def asked_wait(headers: Mapping[str, str], status: int) -> float | None:
    """Seconds that an answer with this status asks to wait; None where it asks for nothing that can be read.

    `headers` are found by their names in any case.
    """
    milliseconds = duration(headers.get("Retry-After-Ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = retry_after(headers.get("Retry-After"))
    if asked is None and status == TOO_MANY_REQUESTS:
        return _until_reset(headers)
    return asked


def retry_after(value: str | None) -> float | None:
    """A Retry-After header in seconds, from seconds or an HTTP date; None where there is none to be read."""
    seconds = duration(value)
    if value is None or seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value).astimezone(UTC)
    except (ValueError, OverflowError):  # no date, or one that no calendar here has
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def duration(value: str | None) -> float | None:
    """Seconds, from a number of them or a duration such as `6m0s` or `20ms`; None for anything else."""
    if value is None:
        return None
    text = value.strip()
    if DURATION.fullmatch(text):
        return sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))
    try:
        return max(0.0, float(text))
    except ValueError:
        return None


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """When the limit that is used up is free again; the later of both, where neither says that it is."""
    resets = {
        of: wait
        for of in ("Requests", "Tokens")
        if (wait := duration(headers.get(f"X-RateLimit-Reset-{of}"))) is not None
    }
    used_up = [wait for of, wait in resets.items() if headers.get(f"X-RateLimit-Remaining-{of}") == "0"]
    return max(used_up or resets.values(), default=None)

"""The identity of a model behind a service, which is known without reaching it, and its key.

The identity is the service's address, the model's name and the kind of interface; the key is no part of it.
The weights are not known: where a service changes them under the same name, stored answers are of the old
ones, and nothing shows it.
"""

import hashlib
import json
import os

from harness.engine.identity import Identity
from harness.errors import ModelError
from harness.protocols import SERVED_TEMPLATE
from harness.records.models import Endpoint, Gemini


def identify_endpoint(source: Endpoint) -> Identity:
    """Address, model name and kind of interface."""
    return Identity(
        fingerprint=_fingerprint("endpoint", source.url.rstrip("/"), source.model, source.api),
        chat_template=SERVED_TEMPLATE if source.api == "chat" else None,
    )


def identify_gemini(source: Gemini) -> Identity:
    """Address and model name."""
    return Identity(
        fingerprint=_fingerprint("gemini", source.url or "", source.model), chat_template=SERVED_TEMPLATE
    )


def key_of(name: str, variable: str | None) -> str | None:
    """The key in an environment variable. Raises ModelError where the variable is not set or holds no key."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelError(
            f"model {name!r}: the environment variable {variable}, which `key_env` names, is not set"
        )
    if not key.isascii() or not key.isprintable():
        raise ModelError(
            f"model {name!r}: what the environment variable {variable} (`key_env`) holds is not a key"
        )
    return key


def _fingerprint(*parts: str) -> str:
    return "sha256:" + hashlib.sha256(json.dumps([*parts, 1]).encode()).hexdigest()

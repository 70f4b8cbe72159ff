"""Where the tokenizer of a model lies that stages start from, also before its folder is written."""

from pathlib import Path
from typing import NamedTuple

from harness.engine.identity import identify
from trainers.planning import StageOrigin


class TokenizerFiles(NamedTuple):
    """A tokenizer as a stage will be given it."""

    folder: Path
    chat_template: str | None
    """Replaces the folder's own; None keeps that."""


def tokenizer_files(origin: StageOrigin) -> TokenizerFiles:
    """The tokenizer of a model that exists. Raises ModelError.

    A GGUF file's, and one that an adapter brings, is written as a folder of its own, once.
    """
    if origin.written_from is None or origin.folder.is_dir():
        return TokenizerFiles(origin.folder, origin.chat_template)
    identity = identify(origin.written_from)
    if identity.gguf is None and identity.tokenizer == identity.path:
        return TokenizerFiles(identity.path, identity.chat_template)
    folder = origin.folder.with_name(f"{origin.folder.name}.tokenizer")
    if not folder.is_dir():
        # imported here because it brings torch, which no other model's tokenizer needs
        from trainers.bases import write_tokenizer  # noqa: PLC0415

        write_tokenizer(origin, folder)
    return TokenizerFiles(folder, identity.chat_template)

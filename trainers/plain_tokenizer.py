"""A tokenizer's files, read without a model library: what a plan counts tokens with.

transformers imports torch, which takes seconds. This tokenizer offers what `trainers.tokens` uses of
transformers' own, and by test gives the same tokens. Templates are rendered as transformers documents it:
https://huggingface.co/docs/transformers/chat_templating
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template, TemplateError, ext, nodes, parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Tokenizer

from harness.engine.model_files import own_chat_template, read_json
from harness.errors import ModelError

FILE = "tokenizer.json"
SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""The special tokens that a configuration can name, and a template can use."""


class PlainTokenizer:
    """The tokenizer of a folder that has a `tokenizer.json`."""

    def __init__(self, folder: Path, chat_template: str | None, *, needs_template: bool) -> None:
        """Read it; `chat_template` replaces the folder's own.

        Raises ModelError where a stage could not train with it, as `trainers.tokens.load_tokenizer` does.
        """
        self.name_or_path = str(folder)
        template = own_chat_template(folder) if chat_template is None else chat_template
        self.chat_template = None if template is None else template.removeprefix("\ufeff")
        if needs_template and self.chat_template is None:
            raise ModelError(
                f"{folder} has no chat template to render turns with: give the model one in harness.toml "
                "(`chat_template`), or set `chat_template = false` in the stage to train on raw text"
            )
        self._tokenizer = Tokenizer.from_file(str(folder / FILE))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._special = _special_tokens(folder)
        self._templates: dict[str, Template] = {}
        if self.eos_token_id is None:
            raise ModelError(
                f"the tokenizer of {folder} has no end-of-sequence token, so answers could not end"
            )

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> dict[str, list[int]]:
        """The tokens of a text."""
        return {"input_ids": self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids}

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, special ones included."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    @property
    def eos_token_id(self) -> int | None:
        end = self._special.get("eos_token")
        return None if end is None else self._tokenizer.token_to_id(end)

    @cached_property
    def all_special_ids(self) -> list[int]:
        found = (self._tokenizer.token_to_id(token) for token in self._special.values())
        return [number for number in found if number is not None]

    @cached_property
    def added_tokens_decoder(self) -> Mapping[int, AddedToken]:
        return self._tokenizer.get_added_tokens_decoder()

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        chat_template: str,
        add_generation_prompt: bool,
        strftime_now: Callable[[str], str],
        **others: object,
    ) -> str:
        """Turns as text. The template may raise what Jinja and Python's operators raise."""
        if chat_template not in self._templates:
            self._templates[chat_template] = self._environment.from_string(chat_template)
        return self._templates[chat_template].render(
            messages=messages,
            tools=None,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            strftime_now=strftime_now,
            **self._special,
        )

    @cached_property
    def _environment(self) -> Environment:
        made = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, ext.loopcontrols]
        )
        made.filters["tojson"] = _to_json
        made.globals["raise_exception"] = _raise
        return made


class _Generation(ext.Extension):
    """`{% generation %}` marks what the assistant writes, and changes nothing of it."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: parser.Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_content"), [], [], body).set_lineno(line)

    def _content(self, caller: Callable[[], str]) -> str:
        return caller()


def _to_json(value: Any, ensure_ascii: bool = False, **layout: Any) -> str:
    """JSON for a prompt: Jinja's own filter escapes it for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, **layout)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _special_tokens(folder: Path) -> dict[str, str]:
    """The special tokens that a folder's files name, by their role."""
    named = {
        **read_json(folder / "special_tokens_map.json"),
        **read_json(folder / "tokenizer_config.json"),
    }
    texts = {
        role: token.get("content") if isinstance(token, Mapping) else token
        for role, token in named.items()
        if role in SPECIAL
    }
    return {role: text for role, text in texts.items() if isinstance(text, str)}

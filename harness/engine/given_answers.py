"""Reads answers that are in files already: what each row answers, and what it says.

    {"prompt": "…", "response": "…"}                                 also `output`, `answer`, `completion`, …
    {"id": "1000", "responses": ["…", "…"]}                          by a suite's id; several draws
    {"prompt": "…", "choices": ["…", "…"], "logprobs": [-3.2, -1.5]}         log-likelihoods of choices
    {"instruction": "…", "output": "…", "generator": "gpt4"}         AlpacaEval's model_outputs.json
    {"question_id": 81, "choices": [{"turns": ["…", "…"]}]}          MT-Bench's answers: the first turn's
    {"uid": "…", "messages": [{"role": "user", …}, {"role": "assistant", "content": {"answer": "…"}}]}
                                                                     Arena-Hard's answers
    {"prompt": {"text": "…"}, "generations": [{"text": "…"}, …]}     RealToxicityPrompts'

JSONL, JSON, CSV or Parquet, one file, several, or a folder of them. A row may also have `thought` (or
`reasoning`), `stop_reason` (or `finish_reason`), `prompt_tokens`, `completion_tokens`, and `draw`: which of
several answers it is, where each has a row of its own.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from harness.errors import DataError, nearest
from harness.files import csv_rows, json_rows, kind_of, parquet_rows
from harness.records.answers import LogLikelihood, Message, Response
from harness.turns import prompt_as_json, read_turn, role_of

KINDS = (".jsonl", ".json", ".csv", ".parquet")
IDS = ("id", "question_id", "prompt_id", "uid", "key")
PROMPTS = ("prompt", "question", "instruction", "messages", "conversations")
ANSWERS = (
    *("response", "responses", "output", "outputs", "answer", "answers", "completion", "completions"),
    *("continuation", "continuations", "generation", "generations"),
)
MODELS = ("generator", "model", "model_id")
"""Where a row says whose answer it is."""
THOUGHTS = ("thought", "reasoning", "reasoning_content")
STOP_REASONS = {
    **dict.fromkeys(("stop", "end", "end_turn", "eos", "eos_token", "stop_sequence"), "end"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use"), "end"),
    **dict.fromkeys(("length", "max_tokens", "model_length"), "length"),
    **dict.fromkeys(("content_filter", "refusal", "refused"), "refused"),
}
"""What others call the ways in which an answer ends, and what we do."""

MOST_COUNTED = 2**31 - 1
"""The largest number of tokens, and of a draw, that a store keeps."""

Asked = str | tuple[Message, ...]


@dataclass(slots=True, kw_only=True)
class GivenAnswer:
    """What was answered to one prompt."""

    where: str
    """The file and the row."""
    id: str | None
    prompt: Asked | None
    responses: dict[int, Response | None] = field(default_factory=dict)
    """By draw; None where the file has the prompt and no answer."""
    likelihoods: dict[str, LogLikelihood] = field(default_factory=dict)
    """By choice, without the blanks around it."""

    @property
    def says(self) -> object:
        """What of it must not contradict another row."""
        return self.responses, self.likelihoods

    def may_answer(self, key: str | None) -> bool:
        """Whether it may be of the prompt with this key; None: of one that is not known."""
        return key is None or self.prompt is None or prompt_key(self.prompt) == key

    def is_another_draw_than(self, other: "GivenAnswer") -> bool:
        """Whether both hold answers, and none of the same draw."""
        both = bool(self.responses and other.responses)
        return both and self.responses.keys().isdisjoint(other.responses)

    def takes(self, other: "GivenAnswer") -> bool:
        """Take what another row says of the same prompt; False where it contradicts this one."""
        pairs: list[tuple[dict[Any, Any], dict[Any, Any]]] = [
            (self.responses, other.responses),
            (self.likelihoods, other.likelihoods),
        ]
        if any(mine[key] != theirs[key] for mine, theirs in pairs for key in mine.keys() & theirs.keys()):
            return False
        for mine, theirs in pairs:
            mine |= theirs
        return True


class GivenAnswers:
    """The answers of some files, found by prompt or by id."""

    def __init__(self, files: Sequence[Path], generator: str | None) -> None:
        """Read them.

        Raises DataError for a file that is missing or of another kind, a row that answers nothing, two rows
        with different answers to the same prompt, and the answers of several models where none is named.
        """
        self._begin()
        named: dict[str, str] = {}
        for file in files:
            for number, row in _rows(file):
                where = f"{file.name}, row {number}"
                whose = next((str(row[key]) for key in MODELS if row.get(key)), None)
                if generator is not None and whose not in (None, generator):
                    named.setdefault(str(whose), where)
                    continue
                if whose is not None:
                    named.setdefault(whose, where)
                    if generator is None and len(named) > 1:
                        raise DataError(
                            str(file),
                            number,
                            f"is of {whose!r}, and {next(iter(named.values()))} of "
                            f"{next(iter(named))!r}: name the one that is meant as `generator`",
                        )
                self._add(str(file), number, _read(str(file), number, where, row))
        if not self.rows:
            among = f" of {generator!r}{nearest(generator, named)}" if generator is not None else ""
            raise DataError(str(files[0]) if files else "", 0, f"holds no answers{among}")
        self._finish()

    def _begin(self) -> None:
        self.rows: list[GivenAnswer] = []
        self._by_id: dict[str, GivenAnswer] = {}
        self._by_prompt: dict[str, GivenAnswer | None] = {}
        """None where two ids have one prompt and different answers: only the id tells which."""
        self._by_trimmed: dict[str, GivenAnswer | None] = {}

    def _finish(self) -> None:
        for key, answered in self._by_prompt.items():
            _note(self._by_trimmed, key.strip(), answered)

    @classmethod
    def of(cls, rows: Iterable[GivenAnswer]) -> "GivenAnswers":
        """Those of rows that are read already, of which none contradicts another."""
        found = cls.__new__(cls)
        found._begin()
        for row in rows:
            found._index(row)
        found._finish()
        return found

    def by_id(self, name: str) -> GivenAnswer | None:
        """The answer under an id."""
        return self._by_id.get(name)

    def by_prompt(self, prompt: Asked) -> GivenAnswer | None:
        """The answer to exactly this prompt; a text is the same as a user's turn."""
        return self._by_prompt.get(prompt_key(prompt))

    def is_ambiguous(self, prompt: Asked) -> bool:
        """Whether several ids have this prompt, with different answers."""
        key = prompt_key(prompt)
        return key in self._by_prompt and self._by_prompt[key] is None

    def by_trimmed_prompt(self, prompt: Asked) -> GivenAnswer | None:
        """The answer to this prompt without the blanks around it."""
        return self._by_trimmed.get(prompt_key(prompt).strip())

    def _add(self, file: str, number: int, row: GivenAnswer) -> None:
        key = None if row.prompt is None else prompt_key(row.prompt)
        there = self._by_id.get(row.id) if row.id is not None else None
        if there is not None and not there.may_answer(key):
            raise DataError(
                file,
                number,
                f"has the id of {there.where}, {row.id!r}, and another prompt: leave the ids out, "
                "or make them differ",
            )
        same = None if key is None else self._by_prompt.get(key)
        if there is None and same is not None and (row.id is None or row.is_another_draw_than(same)):
            there = same
        if there is None:
            self._index(row)
        elif not there.takes(row):
            raise DataError(
                file,
                number,
                f"answers what {there.where} answers, and otherwise: keep one of the two; several answers "
                "to one prompt are a list (`responses`), or have a `draw` each",
            )
        elif row.id is not None:
            self._by_id.setdefault(row.id, there)

    def _index(self, row: GivenAnswer) -> None:
        self.rows.append(row)
        if row.id is not None:
            self._by_id[row.id] = row
        if row.prompt is not None:
            _note(self._by_prompt, prompt_key(row.prompt), row)


def _note(known: dict[str, GivenAnswer | None], key: str, row: GivenAnswer | None) -> None:
    """Note what answers a prompt; None where that is not clear."""
    other = known.setdefault(key, row)
    if other is not row and (other is None or row is None or other.says != row.says):
        known[key] = None


def answer_files(paths: Sequence[str]) -> list[Path]:
    """The files that these paths name, those of folders in the order of their names.

    Raises DataError for what is not there, and for a folder without any.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(
                file
                for file in path.iterdir()
                if kind_of(file) in KINDS and file.is_file() and not file.name.startswith(".")
            )
            if not inside:
                raise DataError(str(path), 0, f"holds no file of answers ({', '.join(KINDS)})")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(str(path), 0, "there is no such file or folder of answers")
    return found


def prompt_key(prompt: Asked) -> str:
    """What tells prompts apart: a text, which is the same as a user's turn, or turns as JSON."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and prompt[0].role == "user":
        return prompt[0].content
    return json.dumps(prompt_as_json(prompt), ensure_ascii=False)


# ---------------------------------------------------------------- rows


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a file, numbered."""
    kind = kind_of(file)
    if kind == ".parquet":
        return parquet_rows(file)
    if kind == ".csv":
        return csv_rows(file)
    if kind in KINDS:
        return json_rows(file)
    raise DataError(str(file), 0, f"is no file of answers: {', '.join(KINDS)} are read")


def _read(file: str, number: int, where: str, row: Mapping[str, Any]) -> GivenAnswer:
    try:
        name = next((_id(row[key], key) for key in IDS if row.get(key) not in (None, "")), None)
        prompt, said = _asked(row)
        if name is None and prompt is None:
            raise ValueError(f"says not what it answers: one of {', '.join((*PROMPTS, *IDS))} was expected")
        found = GivenAnswer(where=where, id=name, prompt=prompt, likelihoods=_likelihoods(row))
        texts = [said] if said is not None else _texts(row, scored=bool(found.likelihoods))
        first = _draw(row)
        found.responses = {first + place: _response(row, text) for place, text in enumerate(texts)}
        return found
    except ValueError as error:
        raise DataError(file, number, str(error)) from error


def _asked(row: Mapping[str, Any]) -> tuple[Asked | None, str | None]:
    """What is answered, and the answer where turns hold it."""
    form = next((form for form in PROMPTS if row.get(form)), None)
    if form is None:
        return None, None
    given = row[form]
    if form == "instruction" and isinstance(given, str):
        return "\n\n".join(part for part in (given, row.get("input")) if isinstance(part, str) and part), None
    if isinstance(given, Mapping) and isinstance(given.get("text"), str):
        return str(given["text"]), None
    if isinstance(given, str):
        return given, None
    if not isinstance(given, list):
        raise ValueError(f"{form}: a text, or turns, expected")
    last = max(
        (place for place, turn in enumerate(given) if role_of(turn) == "assistant"), default=len(given)
    )
    answer = _answer_of(given[last], form) if last < len(given) else None
    return tuple(_message(turn) for turn in given[:last]), answer


def _answer_of(turn: Mapping[str, Any], form: str) -> str | None:
    """The text of an assistant's turn, which Arena-Hard puts under `answer`."""
    content = turn.get("content")
    return _text_of(content, form) if isinstance(content, Mapping) else read_turn(turn).content


def _id(given: object, key: str) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise ValueError(f"{key}: a text or a whole number was expected, and not {type(given).__name__}")
    return str(given)


def _message(turn: object) -> Message:
    role, content = read_turn(turn)
    if role == "tool":
        raise ValueError("a tool's turn is no prompt of a suite's")
    return Message(role=cast(Any, role), content=content)


def _texts(row: Mapping[str, Any], *, scored: bool) -> list[str | None]:
    choices = row.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) and "turns" in choices[0]:
        turns = [choice.get("turns") if isinstance(choice, Mapping) else None for choice in choices]
        if not all(isinstance(each, list) and each for each in turns):
            raise ValueError("choices: each needs `turns`, a list of answers")
        return [_text_of(each[0], "turns") for each in turns if each]
    form = next((form for form in ANSWERS if form in row), None)
    if form is None:
        if scored:
            return []
        known = ", ".join(ANSWERS)
        raise ValueError(f"answers nothing: one of {known} was expected, or `choices` and `logprobs`")
    given = row[form]
    return [_text_of(each, form) for each in given] if isinstance(given, list) else [_text_of(given, form)]


def _text_of(given: object, form: str) -> str | None:
    """A text, or what holds one."""
    if isinstance(given, Mapping):
        given = next((given[key] for key in ("text", "answer", "content") if key in given), given)
    if given is None or isinstance(given, str):
        return given
    raise ValueError(f"{form}: a text was expected, and not {type(given).__name__}")


def _response(row: Mapping[str, Any], text: str | None) -> Response | None:
    """An answer; None where there is none."""
    given = next((row[key] for key in ("stop_reason", "finish_reason") if row.get(key)), "end")
    if not isinstance(given, str) or given not in STOP_REASONS:
        raise ValueError(f"stop_reason: one of {', '.join(STOP_REASONS)} was expected, and not {given!r}")
    stop: Any = STOP_REASONS[given]
    if text is None and stop != "refused":
        return None
    thought = next((row[key] for key in THOUGHTS if row.get(key)), None)
    if thought is not None and not isinstance(thought, str):
        raise ValueError("thought: a text was expected")
    answer = Response(
        text=text or "",
        stop_reason=stop,
        prompt_tokens=_count(row, "prompt_tokens"),
        completion_tokens=_count(row, "completion_tokens"),
        thought=thought,
    )
    return answer if stop != "refused" else replace(answer, text="", reason=text or "the file says so")


def _likelihoods(row: Mapping[str, Any]) -> dict[str, LogLikelihood]:
    numbers, choices = row.get("logprobs"), row.get("choices")
    if numbers is None or choices is None:  # those of tokens, which many services give, are not read
        return {}
    if not isinstance(choices, list) or not isinstance(numbers, list) or len(choices) != len(numbers):
        raise ValueError("logprobs: a list with a number for each of `choices` was expected")
    greedy = row.get("greedy", [False] * len(choices))
    if not isinstance(greedy, list) or len(greedy) != len(choices):
        raise ValueError("greedy: a list with true or false for each of `choices` was expected")
    if not all(isinstance(each, int | float) and math.isfinite(each) and each <= 0 for each in numbers):
        raise ValueError("logprobs: natural logarithms were expected, none of them above 0")
    return {
        str(choice).strip(): LogLikelihood(logprob=float(number), greedy=bool(best), tokens=0)
        for choice, number, best in zip(choices, numbers, greedy, strict=True)
    }


def _draw(row: Mapping[str, Any]) -> int:
    return _count(row, "draw")


def _count(row: Mapping[str, Any], name: str) -> int:
    given = row.get(name)
    if given in (None, ""):
        return 0
    counted = int(given) if isinstance(given, str) and given.isdecimal() else given
    if isinstance(counted, float) and counted.is_integer():  # as tables write where some are missing
        counted = int(counted)
    if isinstance(counted, bool) or not isinstance(counted, int) or not 0 <= counted <= MOST_COUNTED:
        raise ValueError(f"{name}: a whole number from 0 up was expected, and not {given!r}")
    return counted

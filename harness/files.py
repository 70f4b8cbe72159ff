"""Reads text, JSON, CSV and Parquet files that people write; every mistake is reported with its row.

Text is UTF-8. A byte-order mark, which Excel and Windows put in front, is no part of it, and a file whose
name ends in `.gz` is unpacked. JSON is taken strictly: a key that stands twice, an infinity, half of a
character, and what is nested or written too long for what reads it next are mistakes of the row; NaN, which
Python and pandas write for a value that is missing, is null. CSV may be separated by commas, semicolons or
tabs, as spreadsheet programs in several countries write, and its cells may have any length.
"""

import codecs
import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader, TextIOWrapper
from itertools import chain
from math import isinf
from pathlib import Path
from typing import Any, TextIO

import orjson
from pydantic import ValidationError

from harness.errors import DataError

MOST_NESTED = 100
"""Brackets within brackets. Python itself gives up at about a thousand, and what writes JSON earlier."""
MOST_DIGITS = 300
"""Of a whole number: any longer one is beyond what a float can hold."""
PIECE = 2**20
"""Characters of a list that are read at once."""
LONGEST_MARK = len(r"\ud83d\ude00")
"""Of what is no text within JSON: an escaped character. A literal, such as `-Infinity`, is shorter."""
LONGEST_CELL = 2**31 - 1
"""Characters; csv's own limit of 131,072 is less than a long answer has."""
ROWS_AT_ONCE = 1000
"""Of a table, which may have long texts in them."""
DELIMITERS = (",", ";", "\t")
BEGINNINGS = {
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    b"PK\x03\x04": "a workbook or an archive",
}
"""How files begin that are often taken for text."""
SAVE_AS = "save it as UTF-8 (in Excel: `CSV UTF-8`; in Notepad: `Encoding`)"

_HALF = re.compile("[\ud800-\udfff]")
_SPACE = " \t\r\n"

# ---------------------------------------------------------------- text


def read_text(file: Path) -> str:
    """The text of a file, its line ends as they are. Raises DataError."""
    with _open_text(file) as text:
        return text.read()


@contextmanager
def _open_text(file: Path) -> Iterator[TextIO]:
    """The text of a file, to be read within. Raises DataError, also for what is found while it is read."""
    try:
        with _unpacked(file) as content, TextIOWrapper(content, encoding="utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError as error:
        raise _not_utf_8(file) from error
    except (OSError, EOFError, zlib.error) as error:
        message = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise DataError(str(file), 0, message) from error


def _unpacked(file: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")


def _not_utf_8(file: Path) -> DataError:
    """What a file is instead, and in which line that shows."""
    with _unpacked(file) as lines:
        for number, line in enumerate(lines, start=1):
            for beginning, kind in BEGINNINGS.items():
                if number == 1 and line.startswith(beginning):
                    return DataError(str(file), 0, f"is not UTF-8 text but {kind}; {SAVE_AS}")
            try:
                line.decode()
            except UnicodeDecodeError as error:
                found = f"is not UTF-8 text (0x{line[error.start]:02x}, byte {error.start + 1} of the line)"
                return DataError(str(file), number, f"{found}; {SAVE_AS}")
    return DataError(str(file), 0, f"is not UTF-8 text; {SAVE_AS}")


def kind_of(file: Path) -> str:
    """The end of a file's name that says what is in it, such as `.jsonl`: the one before `.gz`."""
    return Path(file.name.removesuffix(".gz")).suffix


# ---------------------------------------------------------------- JSON


def json_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file, each with its line; lines without anything on them are no rows.

    Raises DataError, naming the line.
    """
    with _open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip(_SPACE):
                value = _parse_json(str(file), number, line.rstrip(_SPACE))
                yield number, _as_object(str(file), number, value)


def log_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same of a JSONL file that a program wrote and that may be large: three times as fast.

    A key that stands twice in one object is not noticed: no program writes that.
    """
    with _open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            value = _quickly_parsed(line)
            if value is None:
                if not line.strip(_SPACE):
                    continue
                value = _parse_json(str(file), number, line.rstrip(_SPACE))
            yield number, _as_object(str(file), number, value)


def _quickly_parsed(line: str) -> Any:
    """The value of a line; None for what has to be looked at: NaN, which is no mistake, and mistakes."""
    if line.count("[") + line.count("{") > MOST_NESTED:
        return None
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def logged_object(source: str, content: bytes) -> dict[str, Any]:
    """The object in a program's JSON, as quickly; errors name `source`. Raises DataError.

    Infinity, which Python programs write, is null like NaN. How deep it is nested is not looked at, as the
    traces of a run may be: whoever keeps a part of it looks at that part.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            value = _parse_json(source, 0, content.decode("utf-8-sig"), strict=False)
        except UnicodeDecodeError as error:
            raise DataError(source, 0, f"is not UTF-8 text (byte {error.start + 1})") from error
    return _as_object(source, 0, value)


def json_list(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON file that holds one list of them, each with its place, read one by one.

    Raises DataError.
    """
    with _open_text(file) as text:
        members = _ListedJson(str(file), text)
        if not members.begins():
            _parse_json(str(file), 0, read_text(file))
            raise DataError(str(file), 0, "must hold a list of objects")
        number = 0
        while members.has_another():
            number += 1
            yield number, _as_object(str(file), number, members.read(number))


class _ListedJson:
    """A JSON list, of which no more is held than a member and what was read with it."""

    def __init__(self, file: str, text: TextIO) -> None:
        self._file, self._text = file, text
        self._held, self._at = "", 0
        self._line, self._column = 1, 0
        """Where what is held begins."""
        self._first = True

    def begins(self) -> bool:
        """Whether this is a list; it is read from there on."""
        return self._takes("[")

    def has_another(self) -> bool:
        """Whether a member follows, rather than the end. Raises DataError for anything else."""
        if self._takes("]"):
            if self._sign():
                raise self._mistake(json.JSONDecodeError("Extra data", self._held, self._at))
            return False
        if not (self._first or self._takes(",")):
            raise self._mistake(json.JSONDecodeError("Expecting ',' delimiter", self._held, self._at))
        self._first = False
        return True

    def read(self, number: int) -> Any:
        """The member that follows, which has this place in the list. Raises DataError."""
        self._sign()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                if not (_at_the_end(error) and self._read_on()):
                    raise self._mistake(error) from error
            except RecursionError as error:
                raise DataError(self._file, number, TOO_DEEP) from error
            except ValueError as error:  # by the functions below
                raise DataError(self._file, number, str(error)) from error
            else:
                if end < len(self._held) or not self._read_on():
                    text, self._at = self._held[self._at : end], end
                    _check_json(self._file, number, text, value)
                    return value

    def _takes(self, sign: str) -> bool:
        found = self._sign() == sign
        self._at += found
        return found

    def _sign(self) -> str:
        """The next character that is no blank, from where reading goes on; nothing at the end."""
        while True:
            while self._held[self._at : self._at + 1] in (*_SPACE,):
                self._at += 1
            if self._at < len(self._held) or not self._read_on():
                return self._held[self._at : self._at + 1]

    def _read_on(self) -> bool:
        """Hold more, and nothing of what was read; twice as much as before where that is not enough."""
        more = self._text.read(max(PIECE, len(self._held) - self._at))
        if not more:
            return False
        read, self._held, self._at = self._held[: self._at], self._held[self._at :] + more, 0
        self._column = len(read) - read.rfind("\n") - 1 + (self._column if "\n" not in read else 0)
        self._line += read.count("\n")
        return True

    def _mistake(self, error: json.JSONDecodeError) -> DataError:
        column = error.colno + (self._column if error.lineno == 1 else 0)
        return DataError(self._file, self._line + error.lineno - 1, _no_json(self._held, error, column))


def _at_the_end(error: json.JSONDecodeError) -> bool:
    """Whether more text might have been no mistake: it ends within a value, or an escape of one."""
    return error.msg.startswith("Unterminated") or error.pos > len(error.doc) - LONGEST_MARK


def json_object(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Raises DataError."""
    return _as_object(str(file), 0, _parse_json(str(file), 0, read_text(file)))


def log_value(file: Path) -> Any:
    """The value of a JSON file that a program wrote and that may be large; it is read whole, and fast.

    A key that stands twice in one object is not noticed: no program writes that. Infinity is null, like NaN.
    Raises DataError.
    """
    text = read_text(file)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _parse_json(str(file), 0, text, strict=False)
    if nested_deeper(value, MOST_NESTED):
        raise DataError(str(file), 0, TOO_DEEP)
    return value


def _as_object(file: str, row: int, value: object) -> dict[str, Any]:
    """The value, which must be an object. Raises DataError."""
    if not isinstance(value, dict):
        raise DataError(
            file, row, f"is not a JSON object but {'null' if value is None else type(value).__name__}"
        )
    return value


def _parse_json(file: str, row: int, text: str, *, strict: bool = True) -> Any:
    """The value of a JSON text; errors name `file` and `row`, for which 0 is the whole. Raises DataError.

    Unless it is `strict`, Infinity is null, and the nesting what Python can read.
    """
    try:
        value = (_DECODER if strict else _LENIENT).decode(text)
    except json.JSONDecodeError as error:
        line = row or error.lineno
        raise DataError(file, line, _no_json(text, error, error.colno)) from error
    except RecursionError as error:
        raise DataError(file, row, TOO_DEEP) from error
    except ValueError as error:  # by the functions below
        raise DataError(file, row, str(error)) from error
    _check_json(file, row, text, value, strict=strict)
    return value


def _check_json(file: str, row: int, text: str, value: object, *, strict: bool = True) -> None:
    """Raise DataError for a value that nothing could hold that reads it next; it was read from `text`."""
    if strict and text.count("[") + text.count("{") > MOST_NESTED and nested_deeper(value, MOST_NESTED):
        raise DataError(file, row, TOO_DEEP)
    if "\\u" in text and (half := _HALF.search(json.dumps(value, ensure_ascii=False))):
        raise DataError(
            file,
            row,
            f"holds half of a character (\\u{ord(half[0]):04x} without the other half), which no model can "
            "read and no file can hold; correct the text, or take it out",
        )


TOO_DEEP = f"is nested deeper than {MOST_NESTED} brackets"


def nested_deeper(value: object, most: int) -> bool:
    """Whether there are more than `most` lists and tables within each other."""
    level = [value]
    for _ in range(most + 1):
        level = [member for each in level for member in _members(each)]
        if not level:
            return False
    return True


def _members(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _no_json(text: str, error: json.JSONDecodeError, column: int) -> str:
    if "\0" in text:
        return f"holds NUL characters where JSON is expected: perhaps this is UTF-16; {SAVE_AS}"
    cut = error.pos >= len(text.rstrip(_SPACE)) or error.msg.startswith("Unterminated")
    whole = "; it ends in the middle: was the file written to its end?" if cut and text else ""
    return f"is not JSON: {error.msg.removesuffix(' starting at')} at column {column}{whole}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"the key {json.dumps(twice)} stands twice in one object")
    return found


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"holds a whole number of {len(digits):,} digits; {MOST_DIGITS} are the most")
    return int(digits)


def _decimal(written: str) -> float:
    number = float(written)
    if isinf(number):
        raise ValueError(f"holds a number that is too large: {written[:20]}")
    return number


def _constant(name: str) -> None:
    """NaN is what Python and pandas write where a value is missing."""
    if name != "NaN":
        raise ValueError(f"holds {name}, which is no number of JSON's")


def _null(name: str) -> None:
    """Of any constant that is no number of JSON's."""


_DECODER, _LENIENT = (
    json.JSONDecoder(
        object_pairs_hook=_object, parse_int=_whole, parse_float=_decimal, parse_constant=constant
    )
    for constant in (_constant, _null)
)


def json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON or JSONL file, whichever its name says, numbered. Raises DataError."""
    return json_list(file) if kind_of(file) == ".json" else json_lines(file)


# ---------------------------------------------------------------- CSV


def csv_records(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file, each with the line that it begins in; an empty line is an empty record.

    Cells are separated by commas, semicolons or tabs, what the first line has most of. Raises DataError.
    """
    csv.field_size_limit(LONGEST_CELL)
    with _open_text(file) as text:
        first = text.readline()
        reader = csv.reader(chain([first], text), delimiter=max(DELIMITERS, key=first.count), strict=True)
        begins = 1
        try:
            for cells in reader:
                yield begins, cells
                begins = reader.line_num + 1
        except csv.Error as error:
            raise DataError(str(file), begins, f"is not CSV: {error}") from error


def csv_rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file under the names in its first line; a short row lacks its last columns.

    Raises DataError.
    """
    records = ((number, cells) for number, cells in csv_records(file) if cells)
    _, header = next(records, (1, []))
    twice = [name for place, name in enumerate(header) if name in header[:place]]
    if twice:
        raise DataError(str(file), 1, f"column {twice[0]!r} stands there twice")
    for number, cells in records:
        if len(cells) > len(header):
            raise DataError(str(file), number, "has more cells than the first line has columns")
        yield number, dict(zip(header, cells, strict=False))


# ---------------------------------------------------------------- Parquet


def parquet_rows(file: Path, columns: Sequence[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a Parquet file, numbered, and of them only these columns, as far as there are such.

    Raises DataError.
    """
    from pyarrow import ArrowException, parquet  # noqa: PLC0415 - few files are Parquet

    try:
        number = 0
        for batch in parquet.ParquetFile(file).iter_batches(ROWS_AT_ONCE, columns=columns):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(str(file), 0, f"is not Parquet that can be read: {error}") from error


# ---------------------------------------------------------------- rows as a schema sees them


def first_problem(error: ValidationError) -> tuple[str, str]:
    """The field that pydantic complains of first (empty: the row as a whole), and what is wrong with it."""
    problem = error.errors(include_url=False)[0]
    message = problem["msg"].removeprefix("Value error, ")
    return ".".join(map(str, problem["loc"])), f"{message[0].lower()}{message[1:]}"

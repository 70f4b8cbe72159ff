"""Rating in a terminal: a ballot, a key, the next ballot.

Models' answers are shown as plain text: markup in them has no effect.
"""

import secrets
import sys
import time
from collections.abc import Mapping

import typer
from rich.columns import Columns
from rich.panel import Panel

from harness.cli.console import Text
from harness.cli.terminal import console
from harness.errors import UsageError
from harness.turns import as_text
from suites.blind.ballots import Ballot, BallotBox, CastVote, RaterProgress

KEYS = {
    "l": "left",
    "\x1b[D": "left",
    "\x1bOD": "left",
    "r": "right",
    "\x1b[C": "right",
    "\x1bOC": "right",
    "t": "tie",
    "b": "bad",
    "s": "skip",
    "u": "undo",
    "c": "comment",
    "q": "quit",
}
"""What a key does; arrows send these sequences."""
UNREAD = 0.4
"""Seconds without a key before one counts: a key that is held down must not vote on unread ballots."""
NARROW = 80
"""Columns below which the answers stand one below the other."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "of": "{done} of {total} done",
        "prompt": "prompt",
        "left": "left",
        "right": "right",
        "empty": "(an empty answer)",
        "cut": "cut at the length limit",
        "keys": "← or l left · → or r right · t tie · b both bad · s skip · u undo · c comment · q quit",
        "comment": "comment: ",
        "done": "all done, thank you",
        "quit": "kept; the same command goes on from here",
    },
    "pt": {
        "of": "{done} de {total} prontas",
        "prompt": "pedido",
        "left": "esquerda",
        "right": "direita",
        "empty": "(uma resposta vazia)",
        "cut": "cortada no limite de comprimento",
        "keys": "← ou l esquerda · → ou r direita · t empate · b ambas ruins · s pular · u desfazer · "
        "c comentário · q sair",
        "comment": "comentário: ",
        "done": "tudo pronto, obrigado",
        "quit": "guardado; o mesmo comando continua daqui",
    },
}


def rate(box: BallotBox, rater: str) -> None:
    """Show a rater's ballots and take keys, until all is done or the rater quits. Raises UnknownName."""
    words = WORDS[box.language]
    while (ballot := box.current(rater)) is not None:
        _show(ballot, box.progress(rater), words)
        if not _act(box, rater, ballot, words):
            console.print(words["quit"])
            return
    console.print(words["done"])


def _act(box: BallotBox, rater: str, ballot: Ballot, words: Mapping[str, str]) -> bool:
    """Do what the rater's keys say of this ballot; False: quit."""
    shown, comment, token = time.monotonic(), None, secrets.token_hex(16)
    while (act := KEYS.get(_key(shown))) != "quit":
        try:
            if act == "comment":
                comment = _line(words["comment"])
            elif act == "undo":
                box.undo(rater, token=token, source="terminal")
                return True
            elif act is not None:
                seconds = round(time.monotonic() - shown, 3)
                cast = CastVote(ballot=ballot.id, choice=act, token=token, seconds=seconds, comment=comment)
                box.vote(rater, cast, source="terminal")
                return True
        except UsageError as error:
            console.print(Text(str(error), style="yellow"))
            return box.is_sealed
    return False


def _show(ballot: Ballot, progress: RaterProgress, words: Mapping[str, str]) -> None:
    console.rule(words["of"].format(done=progress.done, total=progress.total))
    console.print(Panel(_text(as_text(ballot.prompt), words), title=words["prompt"]))
    width = console.width if console.width < NARROW else console.width // 2 - 1
    panels = [
        Panel(_text(text, words), title=words[side], subtitle=words["cut"] if is_cut else None, width=width)
        for side, text, is_cut in (
            ("left", ballot.left, ballot.left_cut),
            ("right", ballot.right, ballot.right_cut),
        )
    ]
    console.print(Columns(panels, padding=(0, 1)))
    console.print(words["keys"], style="dim")


def _text(text: str, words: Mapping[str, str]) -> Text:
    return Text(text, overflow="fold") if text else Text(words["empty"], style="dim")


def _key(shown: float) -> str:
    """The next key; where the input is not a terminal, the next line. The end of input quits."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip().lower() if line else "q"
    last = shown
    while True:
        try:
            key = typer.getchar()
        except EOFError:  # Ctrl-D
            return "q"
        before, last = last, time.monotonic()
        if last - before >= UNREAD:
            return key if key.startswith("\x1b") else key[:1].lower()


def _line(asked: str) -> str:
    """A line of text; none where the input ends."""
    if sys.stdin.isatty():
        console.print(asked, end="")
    return sys.stdin.readline()

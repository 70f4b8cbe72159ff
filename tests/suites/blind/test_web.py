"""The rating page's server over a real socket: who gets in, what is sent, and what is refused."""

import json
import logging
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.errors import DiskFull, UsageError
from harness.records.answers import Message
from suites.blind.ballots import MAX_COMMENT
from suites.blind.web import HEADERS, LARGEST_BODY, serve
from tests.suites.blind.rating import (
    TELLTALES,
    BlindTest,
    Serving,
    made_test,
    plain_pairs,
    serving,
)

TOKEN = "0123456789abcdef0123456789abcdef"
PLACES = (
    ("GET", "/"),
    ("GET", "/page.css"),
    ("GET", "/page.js"),
    ("GET", "/words.js"),
    ("GET", "/api/state"),
    ("GET", "/no/such/place"),
    ("PUT", "/api/vote"),
    ("POST", "/api/vote"),
    ("OPTIONS", "/api/vote"),
)


class Client:
    """A rater who speaks HTTP."""

    def __init__(self, served: Serving, rater: str) -> None:
        key = served.test.box.links()[rater]
        self.http = httpx.Client(base_url=served.address, headers={"Authorization": f"Bearer {key}"})

    def state(self) -> dict[str, Any]:
        """What there is to see."""
        return dict(self.http.get("/api/state").json())

    def vote(self, ballot: str, choice: str = "left", token: str = TOKEN, **others: Any) -> httpx.Response:
        """Vote as the page does."""
        body = {"ballot": ballot, "choice": choice, "token": token, "seconds": 2.5, "comment": None}
        return self.http.post("/api/vote", json={**body, **others})


@pytest.fixture(scope="module")
def test(tmp_path_factory: pytest.TempPathFactory) -> BlindTest:
    """Two raters, three pairs, and one blind test for everything that is refused: nothing is ever kept."""
    return made_test(tmp_path_factory.mktemp("refusing"), plain_pairs(3))


@pytest.fixture(scope="module")
def served(test: BlindTest) -> Iterator[Serving]:
    """Its server."""
    with serving(test) as served:
        yield served


@pytest.fixture(scope="module")
def ana(served: Serving) -> Client:
    """A rater of it."""
    return Client(served, "ana")


@pytest.fixture
def fresh(tmp_path: Path) -> BlindTest:
    """The same for one test alone, which votes."""
    return made_test(tmp_path, plain_pairs(3))


@pytest.fixture
def voter(fresh: BlindTest) -> Iterator[Client]:
    """A rater of it."""
    with serving(fresh) as served:
        yield Client(served, "ana")


def test_a_rater_votes_to_the_end(fresh: BlindTest, voter: Client) -> None:
    """Each vote brings the next ballot, and the last one none; all are in the store as they were cast."""
    sent = []
    while ballot := voter.state()["ballot"]:
        sent.append((ballot["id"], "right", 2.5, "why not"))
        state = voter.vote(ballot["id"], "right", token=f"token-{len(sent)}", comment="why not").json()
        assert len(sent) == state["progress"]["done"]

    kept = [(vote.ballot, vote.choice, vote.seconds, vote.comment) for vote in fresh.votes("ana")]
    assert sent == kept
    assert {"done": 3, "total": 3} == voter.state()["progress"]
    assert [] == fresh.votes("bia")


def test_an_undone_vote_comes_again(fresh: BlindTest, voter: Client) -> None:
    """The ballot is back, the vote stays in the record, and the same undo sent twice is one."""
    first = voter.state()["ballot"]
    voter.vote(first["id"])

    for _ in range(2):
        state = voter.http.post("/api/undo", json={"token": "the-undo"}).json()

    assert first == state["ballot"]
    assert ["left", "undo"] == [vote.choice for vote in fresh.votes("ana")]
    refused = voter.http.post("/api/undo", json={"token": "another"})
    assert (409, "refused") == (refused.status_code, refused.json()["error"])


def test_a_vote_sent_again_is_one(fresh: BlindTest, voter: Client) -> None:
    """Eight copies of one request at once and one much later: all are answered as saved, one is kept."""
    ballot = voter.state()["ballot"]["id"]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: voter.vote(ballot), range(8)))
    voter.vote(voter.state()["ballot"]["id"], token="another")

    replies.append(voter.vote(ballot))

    assert {200} == {reply.status_code for reply in replies}
    assert [TOKEN, "another"] == [vote.token for vote in fresh.votes("ana")]


def test_of_two_votes_on_one_ballot_one_counts(fresh: BlindTest, voter: Client) -> None:
    """Two tabs at once: one vote is kept, the others are refused, with what there is to rate now."""
    ballot = voter.state()["ballot"]["id"]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda tab: voter.vote(ballot, token=f"tab-{tab}"), range(8)))

    assert [200] + [409] * 7 == sorted(reply.status_code for reply in replies)
    assert 1 == len(fresh.votes("ana"))
    for reply in replies:
        state = {name: value for name, value in reply.json().items() if name != "error"}
        assert voter.state() == state


def test_another_raters_ballot_is_refused(test: BlindTest, served: Serving, ana: Client) -> None:
    """Also where both raters are to rate the same pair: ballots are a rater's own."""
    other = Client(served, "bia").state()["ballot"]["id"]

    reply = ana.vote(other)

    assert (409, "refused") == (reply.status_code, reply.json()["error"])
    assert [] == test.votes("ana") + test.votes("bia")


def test_a_guessed_link_tells_nothing(served: Serving, ana: Client) -> None:
    """Every key that is none gets the same reply to a byte, whatever it is and is asked."""
    key = served.test.box.links()["ana"]
    guesses = [None, "", "Bearer", f"Bearer {key[:-1]}", f"Bearer {key}x", f"Basic {key}", "é"]
    ballot = ana.state()["ballot"]["id"]
    body = {"ballot": ballot, "choice": "tie", "token": TOKEN, "seconds": None, "comment": None}
    asked = [("GET", "/api/state", None), ("POST", "/api/vote", body), ("POST", "/api/undo", {"token": "t"})]

    replies = set()
    for guess in guesses:
        headers = {} if guess is None else {"Authorization": guess.encode("latin-1")}
        for method, path, json_body in asked:
            reply = httpx.request(method, served.address + path, headers=headers, json=json_body)
            replies.add((reply.status_code, reply.content, tuple(reply.headers.items())))

    assert [(404, b'{"error":"unknown_link"}')] == [reply[:2] for reply in replies]


def test_a_key_in_an_address_opens_nothing(served: Serving) -> None:
    """Keys come as bearer tokens only: an address is written to logs and histories."""
    key = served.test.box.links()["ana"]

    for path in (f"/{key}", f"/api/state?key={key}", f"/api/state/{key}"):
        assert 404 == httpx.get(served.address + path).status_code


@pytest.mark.parametrize(("method", "path"), PLACES)
def test_every_reply_is_guarded(served: Serving, method: str, path: str) -> None:
    """The headers that keep a page from doing harm are on refusals, too; nothing says who serves it."""
    reply = httpx.request(method, served.address + path)

    assert HEADERS == {name: reply.headers.get(name) for name in HEADERS}
    assert not {"server", "date", "set-cookie", "etag"} & reply.headers.keys()
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_the_policy_lets_nothing_in(served: Serving) -> None:
    """Scripts and styles are our own files only; nothing is embedded, framed, sent as a form or inline."""
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))

    assert "'none'" == policy["default-src"]
    assert {"'self'"} == {policy[name] for name in ("script-src", "style-src", "connect-src")}
    nothing = ("img-src", "base-uri", "form-action", "frame-ancestors", "trusted-types")
    assert {"'none'"} == {policy[name] for name in nothing}
    page = httpx.get(served.address).text
    assert not re.findall(r"<style|<script(?! type=\"module\" src=\"/)|\son\w+=|style=|https?://", page)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/api/vote", "/api/undo", "/api/state"])
def test_another_sites_request_is_refused(
    test: BlindTest, ana: Client, path: str, headers: dict[str, str]
) -> None:
    """Even with the right key, which it cannot have: what the browser says of the sender decides."""
    body = {"ballot": ana.state()["ballot"]["id"], "choice": "left", "token": TOKEN}
    body = {**body, "seconds": 1, "comment": None} if path == "/api/vote" else {"token": TOKEN}
    method = "GET" if path == "/api/state" else "POST"

    reply = ana.http.request(method, path, json=body, headers=headers)

    assert (403, {"error": "cross_site"}) == (reply.status_code, reply.json())
    assert [] == test.votes("ana")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_what_a_form_can_send_is_no_vote(test: BlindTest, ana: Client, kind: str) -> None:
    """A form of another site can send these without being asked about it; JSON it cannot."""
    body = {"ballot": ana.state()["ballot"]["id"], "choice": "left", "token": TOKEN, "seconds": 1}

    reply = ana.http.post(
        "/api/vote", content=json.dumps({**body, "comment": None}), headers={"Content-Type": kind}
    )

    assert (415, []) == (reply.status_code, test.votes("ana"))


def test_only_names_of_this_server_are_answered(served: Serving) -> None:
    """A foreign name that was pointed at this machine (DNS rebinding) gets nothing, not even the page."""
    hosts = {
        f"127.0.0.1:{served.port}": 200,
        "localhost": 200,
        "[::1]:9000": 200,
        "192.168.1.5": 200,
        "evil.example": 421,
        f"127.0.0.1.evil.example:{served.port}": 421,
        "rate.example.org": 421,
        "[::1": 421,
        "": 421,
    }

    assert hosts == {host: httpx.get(served.address, headers={"Host": host}).status_code for host in hosts}


def test_the_public_name_is_answered(test: BlindTest) -> None:
    """Behind a proxy raters come under the public name, by https."""
    with serving(test, public="https://rate.example.org") as served:
        headers = {"Host": "rate.example.org", "Origin": "https://rate.example.org"}
        key = test.box.links()["ana"]
        reply = httpx.get(
            f"{served.address}/api/state", headers={**headers, "Authorization": f"Bearer {key}"}
        )

    assert 200 == reply.status_code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"vote"',
        b"{",
        b"\xff\xfe",
        b"[" * 20_000,
        b'{"ballot":' * 3_000,
        b'{"token": 1}',
        b'{"token": "no spaces"}',
        b'{"token": "' + b"9" * 65 + b'"}',
        b'{"token": "\\ud800"}',
        b'{"token": "t", "more": 1}',
    ],
)
@pytest.mark.parametrize("path", ["/api/vote", "/api/undo"])
def test_a_malformed_body_is_said_to_be_one(
    ana: Client, path: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """400 in one shape, without a traceback in the reply or the log."""
    reply = ana.http.post(path, content=body, headers={"Content-Type": "application/json"})

    assert (400, {"error": "malformed"}) == (reply.status_code, reply.json())
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seconds", "NaN"),
        ("seconds", "Infinity"),
        ("seconds", "-Infinity"),
        ("seconds", "-0.1"),
        ("seconds", "1e999"),
        ("seconds", "1" + "0" * 400),
        ("seconds", "9" * 5_000),
        ("seconds", '"1"'),
        ("seconds", "true"),
        ("seconds", "[1]"),
        ("comment", "1"),
        ("comment", "{}"),
        ("choice", "null"),
        ("choice", '["left"]'),
        ("ballot", "7"),
        ("ballot", '"\\ud800"'),
        ("ballot", '"../../etc/passwd"'),
    ],
)
def test_a_field_of_another_kind_is_malformed(test: BlindTest, ana: Client, field: str, value: str) -> None:
    """Seconds are a finite number from 0 on, the others what the page sends; nothing is kept."""
    written = {
        "ballot": json.dumps(ana.state()["ballot"]["id"]),
        "choice": '"left"',
        "token": f'"{TOKEN}"',
        "seconds": "1.5",
        "comment": "null",
        field: value,
    }
    body = "{" + ", ".join(f'"{name}": {text}' for name, text in written.items()) + "}"

    reply = ana.http.post("/api/vote", content=body, headers={"Content-Type": "application/json"})

    assert (400, []) == (reply.status_code, test.votes("ana"))


@pytest.mark.parametrize(
    "changed",
    [
        {"choice": "undo"},
        {"choice": "LEFT"},
        {"ballot": "0" * 24},
        {"seconds": 1e9},
        {"comment": "x" * (MAX_COMMENT + 1)},
    ],
)
def test_what_the_ballot_box_refuses_is_not_kept(
    test: BlindTest, ana: Client, changed: dict[str, Any]
) -> None:
    """409, with the ballot that is still to be rated."""
    ballot = ana.state()["ballot"]

    reply = ana.vote(**{"ballot": ballot["id"], **changed})

    assert (409, ballot, []) == (reply.status_code, reply.json()["ballot"], test.votes("ana"))


def test_the_longest_comment_fits(fresh: BlindTest, voter: Client) -> None:
    """Of characters that take the most bytes when they are escaped."""
    comment = "\N{PILE OF POO}" * MAX_COMMENT

    reply = voter.vote(voter.state()["ballot"]["id"], comment=comment)

    assert (200, [comment]) == (reply.status_code, [vote.comment for vote in fresh.votes("ana")])
    assert len(json.dumps(comment)) < LARGEST_BODY


def test_a_comment_of_any_characters_is_kept(fresh: BlindTest, voter: Client) -> None:
    """What a database cannot hold costs no vote."""
    body = {"ballot": voter.state()["ballot"]["id"], "choice": "tie", "token": TOKEN, "seconds": 0}
    body["comment"] = "=a\0b \ud800 \u202e<script>"

    reply = voter.http.post(
        "/api/vote", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )

    assert 200 == reply.status_code
    (vote,) = fresh.votes("ana")
    assert "=a" in (vote.comment or "")
    assert "<script>" in (vote.comment or "")


@pytest.mark.parametrize("is_known", [True, False])
def test_an_oversized_body_is_not_read(test: BlindTest, ana: Client, is_known: bool) -> None:
    """413, whether its length is known or it comes in pieces."""
    big = b'{"token": "' + b"x" * LARGEST_BODY + b'"}'

    reply = ana.http.post(
        "/api/undo", content=big if is_known else iter([big]), headers={"Content-Type": "application/json"}
    )

    assert (413, {"error": "too_large"}) == (reply.status_code, reply.json())


def test_a_body_that_breaks_off_leaves_no_trace(
    test: BlindTest, served: Serving, ana: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A rater whose connection dies half-way through a vote has not voted, and nothing is logged of it."""
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        key = test.box.links()["ana"]
        head = f"POST /api/vote HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        connection.sendall(f'{head}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{{"b'.encode())

    assert 200 == ana.http.get("/api/state").status_code
    assert [] == test.votes("ana")
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_store_that_fails_is_no_lost_vote(
    fresh: BlindTest, voter: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, which the page takes as "send it again"; then it is kept."""
    ballot = voter.state()["ballot"]["id"]

    def fail(*_: object, **__: object) -> bool:
        raise DiskFull("no space is left")

    with monkeypatch.context() as patched:
        patched.setattr(fresh.box, "vote", fail)
        failed = voter.vote(ballot)

    assert (503, {"error": "store"}) == (failed.status_code, failed.json())
    assert 200 == voter.vote(ballot).status_code
    assert 1 == len(fresh.votes("ana"))


def test_nothing_told_names_what_is_secret(tmp_path: Path) -> None:
    """Everything a rater receives, with its headers: no model, run, sample or study, and one form for all.

    Repeats and checks are ballots like any others: the same fields, ids of one length, the same headers.
    """
    turns = (Message(role="system", content="Be kind."), Message(role="user", content="Hello?"))
    test = made_test(tmp_path, [*plain_pairs(8), (turns, "Hi!", "Yes?")], repeats=2, checks=2)
    received, forms = [], set()
    with serving(test) as served:
        ana = Client(served, "ana")
        reply = ana.http.get("/api/state")
        while ballot := reply.json()["ballot"]:
            headers = {name: value for name, value in reply.headers.items() if name != "content-length"}
            received.append(reply.text + str(reply.headers))
            forms.add((tuple(reply.json()), tuple(ballot), len(ballot["id"]), str(headers)))
            reply = ana.vote(ballot["id"], token=f"token-{len(received)}")
        received += [httpx.get(served.address + path).text for path in ("/", "/page.js", "/words.js")]

    assert 13 + 3 == len(received)
    assert [] == [word for word in TELLTALES if any(word in text for text in received)]
    assert 1 == len(forms)


def test_both_sides_are_told_alike(tmp_path: Path) -> None:
    """A text gives the same nodes on the left as on the right."""
    text, other = "# A\n\n1. **b**\n\n| c |\n|--:|\n| d |", "short"
    test = made_test(tmp_path, [(f"{number}?", text, other) for number in range(6)], raters=("ana",))
    seen = {"left": [], "right": []}  # type: dict[str, list[Any]]
    with serving(test) as served:
        ana = Client(served, "ana")
        while ballot := ana.state()["ballot"]:
            side = "left" if len(str(ballot["left"])) > len(str(ballot["right"])) else "right"
            seen[side].append(ballot[side])
            ana.vote(ballot["id"], token=f"token-{ballot['id']}")

    assert (3, 3) == (len(seen["left"]), len(seen["right"]))
    assert all(nodes == seen["left"][0] for nodes in seen["left"] + seen["right"])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"host": "0.0.0.0"}, "public address"),
        ({"host": "::"}, "public address"),
        ({"public": "rate.example.org"}, "https://rate.example.org"),
        ({"public": "ftp://rate.example.org"}, "https://rate.example.org"),
        ({"public": "https://rate.example.org/blind"}, "https://rate.example.org"),
        ({"host": "no-such-host.invalid"}, "cannot listen at no-such-host.invalid"),
    ],
)
def test_an_address_that_cannot_be_is_refused(
    test: BlindTest, settings: dict[str, Any], complaint: str
) -> None:
    """With what to write instead, and before anything is announced."""
    announced: list[str] = []

    with pytest.raises(UsageError, match=complaint):
        serve(test.box, announce=announced.append, **settings)

    assert [] == announced


def test_a_port_in_use_is_refused(test: BlindTest) -> None:
    """By name, without a traceback."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UsageError, match="choose another address or port"),
    ):
        serve(test.box, port=taken.getsockname()[1])


SERVE = """
import sys
from harness.store import Store
from suites.blind.ballots import BallotBox
from suites.blind.web import serve
serve(BallotBox(Store.open(sys.argv[1]), "secret-study"), host=sys.argv[2], public=sys.argv[3] or None)
"""


@contextmanager
def running(folder: Path, host: str, public: str = "") -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`serve` in a process of its own, with the first two lines it tells."""
    made_test(folder, plain_pairs(1))
    command = [sys.executable, "-c", SERVE, f"sqlite:///{folder / 'blind.db'}", host, public]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, [process.stdout.readline().rstrip("\n") for _ in range(2)]
        process.kill()


def test_serving_tells_a_link_per_rater_and_ends_quietly(tmp_path: Path) -> None:
    """The links work as they are announced; an interrupt ends it without a word, and no request is logged."""
    with running(tmp_path, "127.0.0.1") as (process, lines):
        links = dict(line.split(": ", 1) for line in lines)
        address, key = links["ana"].split("/#")
        reply = httpx.get(f"{address}/api/state", headers={"Authorization": f"Bearer {key}"})
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)

    assert ["ana", "bia"] == list(links)
    assert (200, "ana") == (reply.status_code, reply.json()["rater"])
    assert (0, "", "") == (process.returncode, rest, errors)


def test_serving_other_machines_comes_with_a_warning(tmp_path: Path) -> None:
    """It names the address and what follows from it; links then are to the public address."""
    with running(tmp_path, "0.0.0.0", "https://rate.example.org/") as (_, lines):
        warning, link = lines

    assert warning.startswith("warning: 0.0.0.0 can be reached from other machines.")
    assert link.startswith("ana: https://rate.example.org/#")


UNFINISHED = {
    "nothing": b"",
    "headers": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "body": b"POST /api/vote HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 30000\r\n\r\n{",
}


@pytest.mark.parametrize("kind", UNFINISHED)
def test_a_request_that_never_ends(served: Serving, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends a byte now and then is cut off in time; one that is quick after it is served."""
    monkeypatch.setattr("suites.blind.web.REQUEST_TIMEOUT", 0.5)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", served.port), timeout=0.05) as slow:
        slow.sendall(UNFINISHED[kind])
        assert _is_cut_off(slow, drop=b"" if kind == "nothing" else b"x", until=began + 10)
    assert 0.4 < time.monotonic() - began < 5
    assert 200 == httpx.get(f"{served.address}/").status_code


def test_a_slow_second_request(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was served once has no more time for its next request."""
    monkeypatch.setattr("suites.blind.web.REQUEST_TIMEOUT", 0.5)
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as slow:
        slow.sendall(b"GET /page.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert slow.recv(100_000).startswith(b"HTTP/1.1 200")
        time.sleep(0.7)
        slow.sendall(b"GET /page.css HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        slow.settimeout(0.05)
        assert _is_cut_off(slow, drop=b"x", until=time.monotonic() + 4)


def _is_cut_off(slow: socket.socket, *, drop: bytes, until: float) -> bool:
    """Whether the server closes the connection, to which a drop is sent all the time."""
    while time.monotonic() < until:
        try:
            if not slow.recv(100_000):
                return True
        except TimeoutError:
            with suppress(ConnectionError):
                slow.sendall(drop)
        except ConnectionError:
            return True
    return False

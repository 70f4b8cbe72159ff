"""Models behind services, through the command line: no answer is lost, and none is paid for twice.

Both kinds are a server over a real socket, which is spoken to over httpx, and by Google's own library.
"""

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import nltk
import pytest

from harness.cli import main
from harness.engine.services import retrying
from harness.engine.services.prompt_logprobs import TRIAL
from harness.engine.services.prompt_logprobs_check import TEXTS
from tests.processes import command
from tests.serving import FINE, Asked, Fault, ModelServer, of_the_next_place, status
from tests.suites.tiny_classifier import tiny_classifier

QUESTIONS = 24
SUITE = "toy-ifeval"
KINDS = ["served", "judge"]

PROJECT = """
[models.served]
endpoint = "URL/v1"
model = "m"
concurrency = 4
retries = 3
[models.twin]
endpoint = "URL/v1"
model = "m"
api = "completions"
[models.judge]
gemini = "g"
url = "URL"
key_env = "JUDGE_KEY"
concurrency = 4
retries = 3
[suites.toy-ifeval]
limit = 24
[suites.toy-truthfulqa]
limit = 4
"""


class Working:
    """A project's folder, and the server that its models stand behind."""

    def __init__(self, folder: Path, server: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.server, self._capsys = folder, server, capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command in this process."""
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        shown = self._capsys.readouterr()
        return int(stopped.value.code or 0), shown.out, shown.err

    def unscored(self, model: str) -> dict[str, tuple[int, int]]:
        """By metric, how many scores the report would show, and how many have no value."""
        code, out, _ = self.run("eval", model, "-s", SUITE, "--json")
        assert code in (0, 3)
        return {line["metric"]: (line["n"], line["unscored"]) for line in json.loads(out)}

    def kept(self) -> int:
        """How many answers are in the store."""
        try:
            with closing(sqlite3.connect(f"file:{self.folder}/harness.db?mode=ro", uri=True)) as connection:
                [(count,)] = connection.execute("SELECT count(*) FROM answers")
        except sqlite3.OperationalError:  # the store is not there yet
            return 0
        return int(count)


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Working]:
    """A project whose waits between tries are short."""
    pytest.importorskip("google.generativeai", reason="the extra `gemini` is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_KEY", "AIza-secret")
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.01)
    with ModelServer() as server:
        (tmp_path / "harness.toml").write_text(PROJECT.replace("URL", server.address))
        yield Working(tmp_path, server, capsys)


TROUBLES = [
    status(429, Retry_After="0"),
    status(500),
    Fault(body=b"{'oops"),
    Fault(cut=True),
    Fault(hang_up=True),
    status(503),
    Fault(delay=0.05),
]


@pytest.mark.parametrize("model", KINDS)
def test_a_bad_day(project: Working, model: str) -> None:
    """Delays, limits, errors, malformed and truncated bodies, closed connections: each answer comes once."""
    project.server.wrong = lambda asked: TROUBLES[asked.number % 7] if asked.tries < 2 else FINE

    code, _, err = project.run("eval", model, "-s", SUITE)

    assert (0, QUESTIONS) == (code, project.kept()), err
    assert [1] * QUESTIONS == list(project.server.answered.values())
    assert (QUESTIONS, 0) == project.unscored(model)["prompt_strict"]


@pytest.mark.parametrize("model", KINDS)
def test_a_server_that_dies_half_way(project: Working, model: str) -> None:
    """The work stops with 3; once the server is back, the same command asks what is left, and only that."""

    def dies(asked: Asked) -> Fault:
        if len(project.server.answered) < QUESTIONS // 2:
            return FINE
        return Fault(hang_up=True)

    project.server.wrong = dies
    code, _, err = project.run("eval", model, "-s", SUITE)
    assert 3 == code
    assert "has answered none of the last" in err
    assert "the same command goes on from there" in err
    answered = len(project.server.answered)
    assert answered == project.kept(), "an answer that came was lost"

    project.server.stop()
    assert 3 == project.run("eval", model, "-s", SUITE)[0]
    project.server.start()
    project.server.wrong = lambda asked: FINE
    asked = len(project.server.asked)
    code, _, err = project.run("eval", model, "-s", SUITE)

    assert 0 == code, err
    assert QUESTIONS - answered == len(project.server.asked) - asked
    assert [1] * QUESTIONS == list(project.server.answered.values())


def test_a_budget_is_never_exceeded(project: Working) -> None:
    """An evaluation stops with 3 before the request that might; with a larger one it goes on from there."""
    file = project.folder / "harness.toml"
    assert 2 == project.run("eval", "served", "-s", SUITE, "--budget", "1")[0], "it has no price"
    file.write_text(f"{file.read_text()}[prices.served]\ninput = 1000\noutput = 1000\n")
    code, _, err = project.run("eval", "served", "-s", SUITE, "--budget", "0.3")
    assert 3 == code
    assert "the budget of 0.3 does not hold another request of 'served'" in err
    asked = len(project.server.asked)
    assert 0 < asked == project.kept() < QUESTIONS

    assert 0 == project.run("eval", "served", "-s", SUITE, "--budget", "100")[0]
    assert QUESTIONS == len(project.server.asked) == project.kept()
    assert 0 == project.run("eval", "served", "-s", SUITE, "--budget", "0")[0], "nothing is left to pay"


@pytest.mark.parametrize("model", KINDS)
def test_failed_answers_are_asked_again_and_nothing_else(project: Working, model: str) -> None:
    """A command that ends with failed answers says so with 3, and the same command asks just those."""
    bad: set[str] = set()

    def fails(asked: Asked) -> Fault:
        if len(bad) < 3:
            bad.add(asked.text)
        return status(503, "overloaded") if asked.text in bad else FINE

    project.server.wrong = fails
    code, out, err = project.run("eval", model, "-s", SUITE)
    assert 3 == code
    assert (
        f"harness: answers failed: 3 of '{model}' to '{SUITE}', in 3 of {QUESTIONS} samples "
        "(mostly: 503 overloaded (tried 4 times))\nthe same command asks just those again\n"
    ) in err
    assert "prompt_strict" in out, "what was measured is shown all the same"
    assert QUESTIONS - 3 == project.kept()

    again = len(project.server.asked)
    assert (QUESTIONS - 3, 3) == project.unscored(model)["prompt_strict"]
    assert 3 * 4 == len(project.server.asked) - again

    project.server.wrong = lambda asked: FINE
    again = len(project.server.asked)
    assert 0 == project.run("eval", model, "-s", SUITE)[0]
    assert 3 == len(project.server.asked) - again
    assert (QUESTIONS, 0) == project.unscored(model)["prompt_strict"]
    assert 3 == len(project.server.asked) - again, "a whole run asks nothing"
    assert [1] * QUESTIONS == list(project.server.answered.values())


LONG = "lowercase"
"""What stands in some of the prompts, and not in others."""


@pytest.mark.parametrize(("model", "code"), [("served", 400), ("served", 413), ("judge", 422)])
def test_refused_answers(project: Working, model: str, code: int) -> None:
    """Each is unscored with the service's words; the command ends with 0, and asks again only by option."""
    project.server.wrong = lambda asked: status(code, "too long") if LONG in asked.text else FINE
    exit_code, out, err = project.run("eval", model, "-s", SUITE)
    assert 0 == exit_code, err
    refused = sum(LONG in text for text in project.server.texts)
    assert 0 < refused < QUESTIONS
    note = (
        f"note: {refused} of {QUESTIONS} samples of '{model}' and '{SUITE}' have no score because a service "
    )
    assert f"{note}would not answer (mostly: {code} too long); --ask-refused asks again" in " ".join(
        out.split()
    )
    assert QUESTIONS == project.kept() == len(project.server.asked)
    assert (QUESTIONS - refused, refused) == project.unscored(model)["prompt_strict"]
    assert QUESTIONS == len(project.server.asked), "a whole run asks nothing"

    assert 0 == project.run("eval", model, "-s", SUITE, "--ask-refused")[0]
    assert QUESTIONS + refused + 1 == len(project.server.asked), "refused again, and a short text tried"
    project.server.wrong = lambda asked: FINE
    exit_code, out, _ = project.run("eval", model, "-s", SUITE, "--ask-refused")
    assert (0, False) == (exit_code, "--ask-refused" in out)
    assert (QUESTIONS, 0) == project.unscored(model)["prompt_strict"]
    assert QUESTIONS + 2 * refused + 1 == len(project.server.asked)
    assert QUESTIONS == project.kept()


def test_what_is_refused_and_then_answered_elsewhere(project: Working) -> None:
    """A run whose refusal another run has had answered takes the answer, and asks nothing."""
    project.server.wrong = lambda asked: status(400, "too long") if LONG in asked.text else FINE
    for limit in ("12", "24"):
        assert 0 == project.run("eval", "served", "-s", SUITE, "--limit", limit)[0]
    project.server.wrong = lambda asked: FINE
    assert 0 == project.run("eval", "served", "-s", SUITE, "--limit", "24", "--ask-refused")[0]
    asked = len(project.server.asked)
    command = ("eval", "served", "-s", SUITE, "--limit", "12", "--json")
    assert 0 < json.loads(project.run(*command)[1])[0]["unscored"]
    assert 0 == json.loads(project.run(*command, "--ask-refused")[1])[0]["unscored"]
    assert asked == len(project.server.asked)


@pytest.mark.parametrize("model", KINDS)
def test_everything_is_refused(project: Working, model: str) -> None:
    """No run is finished by it and nothing is kept: once that is corrected, the same command asks it all."""
    project.server.wrong = lambda asked: status(400, "'max_tokens' is not supported")
    for _ in range(2):
        code, out, err = project.run("eval", model, "-s", SUITE)
        assert (2, "", 0) == (code, out, project.kept())
        assert "400 'max_tokens' is not supported" in err
    project.server.wrong = lambda asked: FINE
    assert (QUESTIONS, 0) == project.unscored(model)["prompt_strict"]


ODD = {
    "lone surrogate": "QUESTION \ud83d cut emoji",
    "NUL": "QUESTION \x00 nul",
}


@pytest.mark.parametrize("what", ["400", "413", "content_filter", *ODD])
def test_one_request_of_a_comparison(project: Working, what: str) -> None:
    """Whatever is wrong with one request or its answer, the others are compared, and again is not asked."""
    rows = [{"id": str(n), "prompt": f"question {n}", "target": "QUESTION"} for n in range(6)]
    (project.folder / "c.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with (project.folder / "harness.toml").open("a") as file:
        file.write('[suites.c]\nprompts = "c.jsonl"\nrule = "contains"\n')
    error = {"error": {"message": "the prompt was filtered", "code": "content_filter"}}
    faults = {"content_filter": Fault(status=400, body=json.dumps(error).encode())}
    fault = faults.get(what) or (FINE if what in ODD else status(int(what), "too long"))
    project.server.wrong = lambda asked: fault if "3" in asked.text else FINE
    project.server.answer = lambda asked: (
        ODD[what] if "3" in asked.text and what in ODD else asked.text.upper()
    )
    for _ in range(2):
        code, out, err = project.run("compare", "served", "twin", "-s", "c", "--json")
        assert 0 == code, err
        [verdict] = json.loads(out)["verdicts"]
        [comparison] = verdict["comparisons"]
        assert (6, 0) if what in ODD else (5, 1) == (comparison["n"], comparison["unscored"])
    assert 12 == len(project.server.asked)


def test_a_comparison_with_failed_answers(project: Working) -> None:
    """It is written with what there is and ends with 3; `report` shows the count, and ends with 0."""
    project.server.wrong = lambda asked: (
        status(500) if "lowercase" in asked.text and asked.path.endswith("chat/completions") else FINE
    )
    code, out, err = project.run("compare", "served", "twin", "-s", SUITE)
    assert 3 == code
    assert "answers failed: " in err
    assert "twin against served: " in out
    assert "unscored" in out
    code, out, err = project.run("report")
    assert (0, "") == (code, err)
    assert "unscored" in out


def test_one_answer_that_failed(project: Working) -> None:
    """`harness sample` shows why, and ends with 3."""
    project.server.wrong = lambda asked: status(503, "overloaded")
    code, out, err = project.run("sample", "served", "-p", "hi")
    assert 3 == code
    assert "503 overloaded" in out
    assert "answers failed: of 'served' (503 overloaded (tried 4 times))" in err


def test_log_likelihoods(project: Working) -> None:
    """A server that cannot score is refused with what to do; one that can gives numbers, template or not."""
    code, out, err = project.run("eval", "served", "-s", "toy-truthfulqa")
    assert (2, "") == (code, out)
    assert "model 'served': the server at " in err
    assert "does not echo the log-probabilities of a prompt" in err

    project.server.echo = True
    project.server.distorted = of_the_next_place
    code, out, err = project.run("eval", "served", "-s", "toy-truthfulqa")
    assert (2, "") == (code, out)
    assert "the log-probabilities that it echoes are shifted by one place" in err

    project.server.distorted = lambda columns: columns
    for model in ("served", "twin"):
        code, out, _ = project.run("eval", model, "-s", "toy-truthfulqa", "--json")
        assert 0 == code
        assert [("mc2", 4), ("mc1", 4)] == [(line["metric"], line["n"]) for line in json.loads(out)]
    with closing(sqlite3.connect(project.folder / "harness.db")) as connection:
        settings = connection.execute("SELECT settings FROM runs WHERE finished IS NOT NULL").fetchall()
    assert [False, False] == [json.loads(text)["chat_template"] for (text,) in settings]


@pytest.mark.parametrize("suite", ["toy-truthfulqa", "choices"])
def test_a_pair_that_is_refused(project: Working, suite: str) -> None:
    """Its sample is unscored with the server's words, and the others are scored."""
    rows = [{"prompt": f"question {n}", "choices": ["a", "b"], "target": "a"} for n in range(4)]
    (project.folder / "c.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with (project.folder / "harness.toml").open("a") as file:
        file.write('[suites.choices]\nprompts = "c.jsonl"\nrule = "choice"\n')
    project.server.echo = True
    refused: list[str] = []

    def refuses(asked: Asked) -> Fault:
        if asked.text != TRIAL and not asked.text.startswith(TEXTS) and not refused:
            refused.append(asked.text)
        return status(400, "too long") if asked.text in refused else FINE

    project.server.wrong = refuses
    code, out, err = project.run("eval", "served", "-s", suite, "--json")
    assert 0 == code, err
    assert [(3, 1), (3, 1)] == [(line["n"], line["unscored"]) for line in json.loads(out)]
    assert "400 too long" in " ".join(project.run("eval", "served", "-s", suite)[1].split())


def test_what_must_be_mended_stops_with_2(project: Working) -> None:
    """A rejected key is told once, and nothing else is printed."""
    project.server.wrong = lambda asked: status(401)
    code, out, err = project.run("eval", "served", "-s", SUITE)
    assert (2, "") == (code, out)
    assert 1 == len(err.splitlines())
    assert "wants a key: name the environment variable that holds it as `key_env`" in err


def test_kill_9(project: Working) -> None:
    """What was kept when the program was killed is not paid for again; only what was on its way can be."""
    project.server.wrong = lambda asked: Fault(delay=0.2)
    command(["eval", "served", "-s", SUITE], project.folder).kill_when(
        lambda: project.kept() >= QUESTIONS // 3
    )
    time.sleep(0.5)  # what is on its way is answered, to nobody
    kept, asked = project.kept(), len(project.server.asked)
    assert QUESTIONS // 3 <= kept < QUESTIONS

    code, _, err = project.run("eval", "served", "-s", SUITE)

    assert 0 == code, err
    assert QUESTIONS - kept == len(project.server.asked) - asked
    paid = list(project.server.answered.values())
    assert QUESTIONS == len(paid)
    assert sum(paid) - QUESTIONS <= 2 * 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("model", KINDS)
def test_a_signal(project: Working, model: str, number: signal.Signals, code: int) -> None:
    """Ends at once, at the earliest moment and however long the answers would have taken."""
    project.server.wrong = lambda asked: Fault(delay=20)
    running = command(["eval", model, "-s", SUITE], project.folder)
    while running.poll() is None and not project.server.asked:
        time.sleep(0.001)
    started = time.monotonic()
    running.send_signal(number)
    assert code == running.wait()
    assert time.monotonic() - started < 15
    stopped = "harness: stopped; what was done is kept, and the same command goes on from there\n"
    assert stopped == running.errors()


@pytest.mark.official
@pytest.mark.parametrize("model", KINDS)
def test_official_suites(
    project: Working, model: str, official_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What generates runs against a service that can only chat, in turns; TruthfulQA says what it lacks."""
    monkeypatch.setattr(nltk.data, "path", [*nltk.data.path, str(official_data / "nltk_data")])
    project.server.completions = False
    code, out, err = project.run("eval", model, "-s", "ifeval", "--limit", "12", "--json")
    assert 0 == code, err
    assert 12 == json.loads(out)[0]["n"]
    tiny_classifier(project.folder / "judge")
    with (project.folder / "harness.toml").open("a") as file:
        file.write('[suites.realtoxicityprompts]\nclassifier = "./judge"\nsamples = 2\n')
    code, out, err = project.run("eval", model, "-s", "realtoxicityprompts", "--limit", "3", "--json")
    assert 0 == code, err
    assert ("nontoxic", 3) == (json.loads(out)[0]["metric"], json.loads(out)[0]["n"])
    assert all("prompt" not in asked.body for asked in project.server.asked)
    code, _, err = project.run("eval", model, "-s", "truthfulqa", "--limit", "3")
    assert 2 == code
    assert "this suite needs log-likelihoods, which " in err

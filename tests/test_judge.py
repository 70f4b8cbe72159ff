"""`harness judge` over real sockets, with OpenAI's protocol and Gemini's: nothing is lost or paid for twice.

The candidates stand behind one server and the judge behind another, which counts what it was asked. The judge
prefers the longer answer, so that every verdict can be foretold.
"""

import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSequenceClassification

from harness.engine.services import retrying
from harness.preferences.named import IDENTICAL
from harness.records.preferences import Preference
from harness.store import Store
from suites.judge.forms import IN_A_ROW
from tests.harness.engine.local.test_reward_model import tiny_reward
from tests.processes import command
from tests.serving import FINE, Asked, Fault, ModelServer, status
from tests.working import Working

KINDS = ["served", "gemini"]
PAIRS = 40

PROJECT = """
[models.one]
endpoint = "CANDIDATES/v1"
model = "m"
[models.two]
endpoint = "CANDIDATES/v1"
model = "m"
api = "completions"
[models.served]
endpoint = "JUDGING/v1"
model = "m"
concurrency = 4
retries = 3
[models.brief]
endpoint = "JUDGING/v1"
model = "m"
api = "completions"
concurrency = 4
[models.gemini]
gemini = "g"
url = "JUDGING"
key_env = "JUDGE_KEY"
concurrency = 4
retries = 3
[prices.served]
input = 1.0
output = 10.0
[prices.gemini]
input = 1.0
output = 10.0
"""

ANSWERS = re.compile(
    r"<answer A (\w+)>\n(.*?)\n</answer A \1>\s+<answer B \1>\n(.*?)\n</answer B \1>", re.DOTALL
)


def answer(asked: Asked) -> str:
    """Of even numbers one speaks at more length than two, of odd ones two does; at times both say so."""
    number = int(re.findall(r"\d+", asked.text)[-1])
    if number % 10 == 9:
        return "The same."
    is_one = asked.path.endswith("/chat/completions")
    return f"It is {number}{', as everybody knows' if (number % 2 == 0) == is_one else ''}."


def held_to_a_schema(asked: Asked) -> bool:
    """In either interface."""
    return "response_format" in asked.body or "responseSchema" in asked.body.get("generationConfig", {})


def longer(asked: Asked) -> str:
    """The verdict for the longer answer, in the form that was asked for."""
    found = ANSWERS.search(asked.text)
    assert found is not None, asked.text
    verdict = "A" if len(found[2]) > len(found[3]) else "B" if len(found[2]) < len(found[3]) else "tie"
    return in_form(asked, verdict)


def in_form(asked: Asked, verdict: str) -> str:
    """A verdict as it is asked for."""
    if held_to_a_schema(asked):
        return json.dumps({"reasoning": "By length.", "verdict": verdict})
    return f"By length.\n{verdict}"


class Judged(Working):
    """A project's folder, and the servers that its models stand behind."""

    def __init__(
        self,
        folder: Path,
        candidates: ModelServer,
        judge: ModelServer,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        super().__init__(folder, capsys)
        self.candidates, self.judge = candidates, judge

    def judged(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """What the command says in JSON."""
        found, out, err = self.run("judge", "one", "two", "--prompts", "prompts.jsonl", "--json", *arguments)
        assert code == found, err
        result: dict[str, Any] = json.loads(out)
        return result

    def preferences(self) -> list[Preference]:
        """What is in the store."""
        with closing(Store.open(f"sqlite:///{self.folder}/harness.db")) as store:
            return store.preferences.find()

    def kept(self) -> int:
        """How many of the judge's replies are in the store."""
        query = (
            "SELECT count(*) FROM answers JOIN requests ON requests.number = answers.request "
            "WHERE content LIKE '%\"max_tokens\":1024%'"
        )
        try:
            with closing(sqlite3.connect(f"file:{self.folder}/harness.db?mode=ro", uri=True)) as connection:
                [(count,)] = connection.execute(query)
        except sqlite3.OperationalError:  # the store is not there yet
            return 0
        return int(count)


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Judged]:
    """A project whose waits between tries are short, and 40 prompts, to 4 of which both answer the same."""
    pytest.importorskip("google.generativeai", reason="the extra `gemini` is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_KEY", "AIza-secret")
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.01)
    with ExitStack() as servers:
        candidates = servers.enter_context(ModelServer(answer=answer))
        judge = servers.enter_context(ModelServer(answer=longer))
        text = PROJECT.replace("CANDIDATES", candidates.address).replace("JUDGING", judge.address)
        (tmp_path / "harness.toml").write_text(text)
        found = Judged(tmp_path, candidates, judge, capsys)
        found.write(
            "prompts.jsonl", *({"id": f"p{n}", "prompt": f"Which number is {n}?"} for n in range(PAIRS))
        )
        yield found


# ---------------------------------------------------------------- what is asked and what comes of it


@pytest.mark.parametrize("judge", KINDS)
def test_both_orders_of_every_pair(project: Judged, judge: str) -> None:
    """Each is a preference with its reply and cost; equal answers are ties that nobody is asked about."""
    found = project.judged("--by", judge)

    assert 2 * (PAIRS - 4) == len(project.judge.asked) == found["sessions"][0]["calls"]
    assert all(map(held_to_a_schema, project.judge.asked))
    chosen = project.preferences()
    by_sample: dict[str, list[Preference]] = {}
    for each in chosen:
        by_sample.setdefault(each.sample, []).append(each)
    assert PAIRS == len(by_sample)
    for name, orders in by_sample.items():
        number = int(name[1:])
        if number % 10 == 9:
            assert [("tie", "identical answers")] == [(each.winner, each.reason) for each in orders]
        else:
            assert ["left", "right"] == [each.shown_first for each in orders]
            assert {"left" if number % 2 == 0 else "right"} == {each.winner for each in orders}
            assert all(each.reply and each.cost for each in orders)
    assert found["spent"] == pytest.approx(sum(each.cost or 0 for each in chosen))
    assert found["spent"] == pytest.approx(found["sessions"][0]["cost"])
    prompt_tokens, reply_tokens = (
        found["sessions"][0][kind] for kind in ("prompt_tokens", "completion_tokens")
    )
    assert found["spent"] == pytest.approx((prompt_tokens + 10 * reply_tokens) / 1e6)


def test_again_costs_nothing(project: Judged) -> None:
    """What was judged is used as it is, also by another template's neighbour and in one order only."""
    first = project.judged("--by", "served")
    asked = len(project.judge.asked)
    again = project.judged("--by", "served")
    assert (0, asked, 0.0) == (
        again["sessions"][0]["calls"],
        again["sessions"][0]["recalled"],
        again["spent"],
    )
    assert first["preferences"] == again["preferences"]
    one = project.judged("--by", "served", "--one-order")
    assert (0, PAIRS - 4) == (one["sessions"][0]["calls"], one["sessions"][0]["recalled"])
    assert asked == len(project.judge.asked)
    assert first["raters"] != one["raters"]
    assert PAIRS == len(one["preferences"])

    brief = project.judged(
        "--by", "served", "--template", "pairwise-brief", "--criteria", "It is short, always."
    )
    assert asked == brief["sessions"][0]["calls"]
    assert "It is short, always." in project.judge.asked[-1].text


def test_a_server_without_schemas(project: Judged) -> None:
    """A refused parameter is reported once, and the verdict is asked for on the last line."""
    project.judge.wrong = lambda asked: (
        status(400, "response_format is not supported") if held_to_a_schema(asked) else FINE
    )
    found = project.judged("--by", "served")
    note = found["notes"][-1]
    assert note.startswith("judge 'served': its service takes no JSON schema")
    assert "response_format is not supported" in note
    assert Counter(left=20 * 2, right=16 * 2, tie=4) == Counter(
        each["winner"] for each in found["preferences"]
    )
    assert found["raters"][0]["details"]["form"] == "line"
    again = project.judged("--by", "served")
    assert 0 == again["sessions"][0]["calls"]


@pytest.mark.parametrize("judge", KINDS)
def test_pairs_that_are_refused(project: Judged, judge: str) -> None:
    """Each is a missing verdict with the service's words, in the form that others are answered in.

    It costs nothing, the command ends with 0, and it is asked again where that is asked for.
    """
    project.judge.wrong = lambda asked: status(400, "too long") if "It is 20" in asked.text else FINE
    found = project.judged("--by", judge)
    assert {"refused: 400 too long": 2} == found["sessions"][0]["no_verdict"]
    assert 72 == found["sessions"][0]["calls"] == len(project.judge.asked)
    assert all(map(held_to_a_schema, project.judge.asked))
    assert 70 == sum(each["cost"] is not None for each in found["preferences"] if each["winner"] != "tie")
    assert 0 == project.judged("--by", judge)["sessions"][0]["calls"]

    project.judge.wrong = lambda asked: FINE
    [estimated] = project.judged("--by", judge, "--dry-run", "--ask-refused")["estimates"]
    assert 2 == estimated["calls"]
    found = project.judged("--by", judge, "--ask-refused")
    assert (2, {}) == (found["sessions"][0]["calls"], found["sessions"][0]["no_verdict"])
    assert 74 == len(project.judge.asked)
    assert 0 == project.judged("--by", judge, "--ask-refused")["sessions"][0]["calls"]


def test_a_judge_that_refuses_everything(project: Judged) -> None:
    """With a schema and without: the command says the server's words, and no verdict is missing for good."""
    project.judge.wrong = lambda asked: status(400, "no `temperature` here")
    message = project.complaint(2, "judge", "one", "two", "--prompts", "prompts.jsonl", "--by", "served")
    assert "refuses every request" in message
    assert "no `temperature` here" in message
    project.judge.wrong = lambda asked: FINE
    assert 72 == project.judged("--by", "served")["sessions"][0]["calls"]


def test_refused_pairs_and_a_budget(project: Judged) -> None:
    """What showed that others would be answered is paid and counted, and never more than the budget."""
    project.judge.answer = lambda asked: in_form(asked, "A") if "Say yes." in asked.text else longer(asked)
    project.judge.wrong = lambda asked: FINE if "Say yes." in asked.text else status(400, "too long")
    found = project.judged("--by", "served", "--budget", "1")
    assert {"refused: 400 too long": 72} == found["sessions"][0]["no_verdict"]
    [short] = [asked for asked in project.judge.asked if "Say yes." in asked.text]
    assert held_to_a_schema(short)
    given = len(in_form(short, "A").split())
    assert (2 + 10 * given) / 1e6 == pytest.approx(found["spent"])


def test_replies_without_a_text_are_paid(project: Judged) -> None:
    """Tools that were called and contents that are null are no verdict, are not asked again, and cost."""
    message = {"content": None, "tool_calls": [{"id": "1"}]}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    reply = {"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": usage}
    project.judge.wrong = lambda asked: Fault(body=json.dumps(reply).encode())
    found = project.judged("--by", "served", "--budget", "1")
    assert {"refused: the model called tools and wrote no text": 72} == found["sessions"][0]["no_verdict"]
    assert 72 * (100 + 10 * 10) / 1e6 == pytest.approx(found["spent"])
    assert 72 == len(project.judge.asked)


def test_a_judge_that_continues_text(project: Judged) -> None:
    """It has no turns and no schema, and is asked for the last line at once."""
    found = project.judged("--by", "brief")
    assert not any(map(held_to_a_schema, project.judge.asked))
    assert {"/v1/completions"} == {asked.path for asked in project.judge.asked}
    assert not any("schema" in note for note in found["notes"])
    assert found["spent"] is None, "no price, nothing to be paid"


@pytest.mark.parametrize("judge", KINDS)
def test_replies_that_say_nothing(project: Judged, judge: str) -> None:
    """Unreadable and empty replies are counted with their reasons, and never become a verdict."""
    project.judge.answer = lambda asked: (
        "Both have merits." if re.search(r"It is \d*[26]\b", asked.text) else longer(asked)
    )
    found = project.judged("--by", judge)
    unreadable = [each for each in found["preferences"] if each["winner"] is None]
    assert {"unreadable: 'Both have merits.'"} == {each["reason"] for each in unreadable}
    assert {"unreadable: 'Both have merits.'": len(unreadable)} == found["sessions"][0]["no_verdict"]
    assert 2 * 8 == len(unreadable), "2, 6, 12, 16, …"
    assert all(each["reply"] for each in unreadable)
    assert 0 == project.judged("--by", judge)["sessions"][0]["calls"], "what was said is not asked again"


def test_cut_replies(project: Judged) -> None:
    """A reply that reached its longest length says nothing, whatever stands in it."""
    project.judge.finish_reason = "length"
    found = project.judged("--by", "served", code=3)
    assert {"cut: the reply reached its longest length": 10} == found["sessions"][0]["no_verdict"]


# ---------------------------------------------------------------- judges that cannot be read


def refuse(asked: Asked) -> str:
    """What no form can read."""
    return "I'm sorry, I can't compare these. }{"


@pytest.mark.parametrize(("judge", "forms"), [("served", ["schema", "line"]), ("brief", ["line", "json"])])
def test_a_judge_that_cannot_be_read(project: Judged, judge: str, forms: list[str]) -> None:
    """Ten replies are paid for in each form; then it is stopped, with 3 and the reason."""
    project.judge.answer = refuse
    arguments = ("judge", "one", "two", "--prompts", "prompts.jsonl", "--by", judge)
    code, out, err = project.run(*arguments)
    assert 3 == code
    assert 20 == len(project.judge.asked) == project.kept()
    assert forms == [
        "schema" if held_to_a_schema(each) else "json" if "Reply in JSON" in each.text else "line"
        for each in project.judge.asked[::IN_A_ROW]
    ]
    assert "cannot be read in either form: 10 replies in a row, the last one unreadable: " in err
    assert "I can't compare these." in err
    printed = " ".join(out.split())
    assert "this judge could not be read (10 of 10 replies unreadable)" in printed
    assert f"judge {judge!r}: 10 replies in a row could not be read, the last one unreadable: " in printed
    assert {None} == {each.winner for each in project.preferences() if each.reason != IDENTICAL}
    assert 1 == len({each.rater for each in project.preferences()}), "a form given up at once leaves no trace"


def test_again_an_unreadable_judge_is_paid_nothing(project: Judged) -> None:
    """The same command says the same, exits the same and asks nobody."""
    project.judge.answer = refuse
    first = project.judged("--by", "served", code=3)
    again = project.judged("--by", "served", code=3)
    assert 20 == len(project.judge.asked)
    assert first["preferences"] == again["preferences"]
    assert ["unreadable"] * 2 == [each["sessions"][0]["ended"] for each in (first, again)]
    assert (20, 0) == (first["sessions"][0]["calls"], again["sessions"][0]["calls"])
    assert 72 - 10 == first["sessions"][0]["spared"] == again["sessions"][0]["spared"]


@pytest.mark.parametrize("reads", [True, False], ids=["line", "schema"])
def test_the_form_that_is_read(project: Judged, reads: bool) -> None:
    """Where only the last line is read, ten replies are lost; the same command goes on in that form."""
    project.judge.answer = lambda asked: (
        refuse(asked) if held_to_a_schema(asked) == reads else in_form(asked, "A")
    )
    found = project.judged("--by", "served")
    assert 72 + 10 * reads == len(project.judge.asked) == found["sessions"][0]["calls"]
    assert {} == found["sessions"][0]["no_verdict"]
    assert ("line" if reads else "schema") == found["raters"][0]["details"]["form"]
    assert {found["raters"][0]["id"]} == {each.rater for each in project.preferences()}

    project.write(
        "prompts.jsonl", *({"id": f"p{n}", "prompt": f"Which number is {n}?"} for n in range(PAIRS + 5))
    )
    [estimate] = project.judged("--by", "served", "--dry-run")["estimates"]
    again = project.judged("--by", "served")
    assert 10 == estimate["calls"] == again["sessions"][0]["calls"], "all in the form that is read"
    assert 72 == again["sessions"][0]["recalled"]


def test_a_judge_that_breaks_down(project: Judged) -> None:
    """Later replies that cannot be read end it too, soon; all that came are kept, counted and paid once."""
    project.write("prompts.jsonl", *({"id": f"p{n}", "prompt": f"Which number is {n}?"} for n in range(300)))
    project.judge.wrong = lambda asked: Fault(delay=0.04)
    project.judge.answer = lambda asked: longer(asked) if asked.number < 60 else "No."
    found = project.judged("--by", "served", code=3)
    held = sum(map(held_to_a_schema, project.judge.asked))
    assert 60 + 10 <= held <= 600 // 2, "replies count some time after they came: a quarter of a second"
    assert 10 == len(project.judge.asked) - held
    [session] = found["sessions"]
    assert ("unreadable", project.kept()) == (session["ended"], session["calls"])
    assert found["spent"] >= session["cost"] > 0
    asked = len(project.judge.asked)
    again = project.judged("--by", "served", code=3)
    assert (0, 0.0, 0.0) == (again["sessions"][0]["calls"], again["sessions"][0]["cost"], again["spent"])
    assert asked == len(project.judge.asked)


def test_what_a_form_said_before_it_was_given_up(project: Judged) -> None:
    """It is taken back once the judge is read in the other form: one judge is one rater of a pair."""
    project.judge.answer = lambda asked: (
        longer(asked) if asked.number < 20 or not held_to_a_schema(asked) else "No."
    )
    found = project.judged("--by", "served")
    assert "line" == found["raters"][0]["details"]["form"]
    assert {found["raters"][0]["id"]} == {each.rater for each in project.preferences()}
    assert 2 * PAIRS - 4 == len(project.preferences())


def test_pairs_that_were_read_stay_in_their_form(project: Judged) -> None:
    """Where other models make the judge go over to another form, what is known of these is not asked anew."""
    file = project.folder / "harness.toml"
    three = f'[models.three]\nendpoint = "{project.candidates.address}/v1"\nmodel = "m"\nsystem = "x"\n'
    file.write_text(f"{file.read_text()}{three}")
    command = ("--prompts", "prompts.jsonl", "--by", "served", "--json")
    assert 0 == project.run("judge", "two", "three", *command)[0]
    project.judge.answer = lambda asked: refuse(asked) if held_to_a_schema(asked) else longer(asked)
    code, out, err = project.run("judge", "one", "two", "three", *command)
    assert 0 == code, err
    calls = {(each["left"], each["right"]): each["calls"] for each in json.loads(out)["sessions"]}
    assert 0 == calls["two", "three"], calls
    raters = {(each.left_run, each.right_run, each.rater) for each in project.preferences()}
    assert 3 == len(raters), "one for every two models"


def test_until_decided_within_a_budget_in_the_other_form(project: Judged) -> None:
    """What pairs cost in a form that was given up says nothing of what is left for others."""
    project.judge.answer = lambda asked: refuse(asked) if held_to_a_schema(asked) else longer(asked)
    found = project.judged("--by", "served", "--until-decided", "--budget", "5")
    assert found["sessions"][0]["ended"] in ("decided", "undecidable")


def test_a_judge_that_is_cut_is_asked_nothing_else(project: Judged) -> None:
    """A budget reckons with its replies alone."""
    project.judge.finish_reason = "length"
    project.judge.answer = lambda asked: "A is"
    project.judged("--by", "served", "--budget", "5", code=3)
    assert all("<answer A" in asked.text for asked in project.judge.asked)


def test_a_broken_judge_stops_no_other(project: Judged) -> None:
    """The others are asked about everything, and the command still ends with 3."""
    project.judge.answer = lambda asked: refuse(asked) if "contents" not in asked.body else longer(asked)
    found = project.judged("--by", "served", "--by", "gemini", code=3)
    assert ["unreadable", "all"] == [each["ended"] for each in found["sessions"]]
    assert 72 == found["sessions"][1]["calls"]


def test_until_decided_begins_anew_in_the_other_form(project: Judged) -> None:
    """What was learnt from a form that was given up does not count."""
    project.judge.answer = lambda asked: refuse(asked) if held_to_a_schema(asked) else longer(asked)
    found = project.judged("--by", "served", "--until-decided")
    assert found["sessions"][0]["decided"]["pairs"] * 2 == found["sessions"][0]["calls"] - 10


def test_a_jury(project: Judged) -> None:
    """Several judges are asked one by one, and the majority of their verdicts is another rater."""
    project.judge.answer = lambda asked: (
        in_form(asked, "A") if asked.path.endswith("/v1/completions") else longer(asked)
    )
    found = project.judged("--by", "served", "--by", "gemini", "--by", "brief")
    assert [*KINDS, "brief", "jury"] == [rater["name"] for rater in found["raters"]]
    jury = found["raters"][-1]["id"]
    words = {each["sample"]: each["winner"] for each in found["preferences"] if each["rater"] == jury}
    assert Counter(left=20, right=16, tie=4) == Counter(words.values()), "a judge of one side is outvoted"
    said = [each for each in found["preferences"] if each["rater"] != jury]
    assert len(said) + PAIRS == len(project.preferences())


# ---------------------------------------------------------------- bad days

TROUBLES = [
    status(429, Retry_After="0"),
    status(500),
    Fault(body=b"{'oops"),
    Fault(cut=True),
    Fault(hang_up=True),
    status(503),
    Fault(delay=0.05),
]


@pytest.mark.parametrize("judge", KINDS)
def test_a_bad_day(project: Judged, judge: str) -> None:
    """Limits, errors, malformed and truncated bodies, closed connections: each verdict is given once."""
    project.judge.wrong = lambda asked: TROUBLES[asked.number % 7] if asked.tries < 2 else FINE
    found = project.judged("--by", judge)
    assert [1] * 72 == list(project.judge.answered.values())
    assert {} == found["sessions"][0]["no_verdict"]


@pytest.mark.parametrize("judge", KINDS)
def test_failed_replies_are_asked_again_and_nothing_else(project: Judged, judge: str) -> None:
    """They are counted, the command ends with 3, and the same command asks just those."""
    project.judge.wrong = lambda asked: status(503, "overloaded") if "It is 20" in asked.text else FINE
    found = project.judged("--by", judge, code=3)
    assert {"failed: 503 overloaded (tried 4 times)": 2} == found["sessions"][0]["no_verdict"]
    project.judge.wrong = lambda asked: FINE
    asked = len(project.judge.asked)
    found = project.judged("--by", judge)
    assert 2 == len(project.judge.asked) - asked == found["sessions"][0]["calls"]
    assert {} == found["sessions"][0]["no_verdict"]
    assert [1] * 72 == list(project.judge.answered.values())


@pytest.mark.parametrize("judge", KINDS)
def test_killed_in_the_middle(project: Judged, judge: str) -> None:
    """200 pairs with failures, killed with -9: only what was on its way is asked a second time."""
    project.write("prompts.jsonl", *({"id": f"p{n}", "prompt": f"Which number is {n}?"} for n in range(200)))
    project.judge.wrong = lambda asked: (
        TROUBLES[asked.number % 7] if asked.tries == 0 and asked.number % 17 == 0 else Fault(delay=0.01)
    )
    judging = ["judge", "one", "two", "--prompts", "prompts.jsonl", "--by", judge]
    command(judging, project.folder).kill_when(lambda: project.kept() >= 100)
    time.sleep(0.2)  # what is on its way is answered, to nobody
    kept, paid = project.kept(), sum(project.judge.answered.values())
    assert 100 <= kept < 360
    assert paid - kept <= 2 * 4

    found = project.judged("--by", judge)
    assert 360 - kept == found["sessions"][0]["calls"]
    assert kept == found["sessions"][0]["recalled"]
    assert 360 == len(project.judge.answered)
    assert sum(project.judge.answered.values()) - 360 == paid - kept
    assert 380 == len(project.preferences())


def test_candidates_answers_that_never_came(project: Judged) -> None:
    """Their pairs have no verdict, the command ends with 3, and the same command asks just them."""
    project.candidates.wrong = lambda asked: status(503) if "is 4?" in asked.text else FINE
    with (project.folder / "harness.toml").open() as file:
        text = file.read().replace('model = "m"\n', 'model = "m"\nretries = 0\n', 2)
    (project.folder / "harness.toml").write_text(text)
    found = project.judged("--by", "served", "--one-order", code=3)
    reasons = found["sessions"][0]["no_verdict"]
    assert {"no answer to judge (failed: 503 not now)": 1} == reasons
    project.candidates.wrong = lambda asked: FINE
    foretold = project.judged("--by", "served", "--one-order", "--dry-run")
    assert {"one": 1, "two": 1} == foretold["missing"]
    assert 1 == foretold["estimates"][0]["calls"]
    found = project.judged("--by", "served", "--one-order")
    assert {} == found["sessions"][0]["no_verdict"]
    assert 1 == found["sessions"][0]["calls"]
    assert PAIRS == len(project.preferences()), "no row is left of what was missing"


# ---------------------------------------------------------------- what it costs


def test_a_dry_run_asks_nobody(project: Judged) -> None:
    """Before and after the candidates have answered; then the estimate knows which answers are the same."""
    code, out, _ = project.run(
        "judge", "one", "two", "--prompts", "prompts.jsonl", "--by", "served", "--dry-run"
    )
    assert 0 == code
    assert "one has not answered 40 of the prompts" in out
    assert [] == project.judge.asked == project.candidates.asked

    project.judged("--by", "brief")
    sent = len(project.candidates.asked)
    found = project.judged("--by", "served", "--dry-run")
    [estimate] = found["estimates"]
    assert {"one": 0, "two": 0} == found["missing"]
    assert (40, 4, 72, 0) == tuple(estimate[key] for key in ("pairs", "identical", "calls", "recalled"))
    assert sent == len(project.candidates.asked)

    judged = project.judged("--by", "served")
    assert estimate["most"] > judged["spent"]
    assert 0.5 < estimate["prompt_tokens"] / judged["sessions"][0]["prompt_tokens"] < 2
    [again] = project.judged("--by", "served", "--dry-run")["estimates"]
    assert (0, 72, 0.0) == (again["calls"], again["recalled"], again["cost"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["--limit", "7"], []),
        (["--limit", "7", "--one-order"], []),
        (["--seed", "3"], []),
        (["--seed", "3", "--one-order"], ["--one-order", "--seed", "5"]),
        (["--criteria", "honest"], []),
        (["--budget", "0.2"], ["--seed", "5"]),
    ],
)
def test_a_dry_run_counts_as_the_run_will(project: Judged, before: list[str], after: list[str]) -> None:
    """Kept answers are found by what was asked, whichever run it was asked in: the counts are the run's."""
    project.run("judge", "one", "two", "--prompts", "prompts.jsonl", "--by", "served", *before)
    answered, judged = len(project.candidates.asked), len(project.judge.asked)

    foretold = project.judged("--by", "served", "--dry-run", *after)
    assert (answered, judged) == (len(project.candidates.asked), len(project.judge.asked))
    found = project.judged("--by", "served", *after)
    assert len(project.candidates.asked) - answered == sum(foretold["missing"].values())
    [estimate], [session] = foretold["estimates"], found["sessions"]
    turned_out_equal = 4 - estimate["identical"]
    orders = 1 if "--one-order" in after else 2
    assert session["calls"] == len(project.judge.asked) - judged
    assert session["calls"] == estimate["calls"] - orders * turned_out_equal
    assert session["recalled"] == estimate["recalled"]


@pytest.mark.parametrize("judge", KINDS)
def test_a_budget_is_never_exceeded(project: Judged, judge: str) -> None:
    """The command stops before it might be, with 3; what is done is kept, and more money goes on."""
    whole = 72 * 1024 * 10 / 1e6
    budget = whole / 20
    found = project.judged("--by", judge, "--budget", str(budget), code=3)
    assert "budget" == found["sessions"][0]["ended"]
    calls = found["sessions"][0]["calls"]
    assert 0 < calls < 72
    assert budget - 2 * 1.5 * 1024 * 10 / 1e6 < found["spent"] <= budget
    assert calls + found["sessions"][0]["spared"] == 72
    paid = sum(project.judge.answered.values())
    assert calls == paid

    found = project.judged("--by", judge, "--budget", str(whole))
    assert 72 - calls == found["sessions"][0]["calls"]
    assert "all" == found["sessions"][0]["ended"]
    assert [1] * 72 == list(project.judge.answered.values())


def test_a_service_that_does_not_say_what_it_took(project: Judged) -> None:
    """Its replies are charged with the most they can have cost, and their own cost stays unknown."""
    project.judge.reply = lambda asked: (  # type: ignore[method-assign]  # a server with a habit
        200,
        {"choices": [{"message": {"content": longer(asked)}, "finish_reason": "stop"}]},
    )
    found = project.judged("--by", "served", "--budget", "0.1", code=3)
    assert 0.1 - 0.03 < found["spent"] <= 0.1
    assert {None} == {each["cost"] for each in found["preferences"]}


# ---------------------------------------------------------------- who may not judge


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--by", "gemmini"],
            "there is no model, pipeline or folder named 'gemmini'; did you mean 'gemini'?",
        ),
        (
            ["--by", "served", "--template", "pairwize"],
            "there is no template named 'pairwize'; did you mean 'pairwise'?",
        ),
        (
            ["--by", "served", "--criteria", "helpfull"],
            "there is no criterion named 'helpfull'; did you mean 'helpful'?",
        ),
        ([], "no judge is named: name a model that judges with --by, or set `judges` in [compare] of "),
        (
            ["--by", "brief", "--budget", "1"],
            "a budget needs the price of 'brief': give it in [prices.",
        ),
        (["--by", "served", "--until-decided", "--level", "95"], "--level 95: a level lies between 0 and 1"),
        (
            ["--by", "served", "--level", "0.9"],
            "--level says when --until-decided stops, which was not asked for",
        ),
        (["--by", "two_labels"], "is a classifier with 2 labels, and one that rates answers has 1"),
        (["--by", "locked"], "the environment variable NOT_SET_ANYWHERE, which `key_env` names, is not set"),
    ],
)
def test_what_is_refused(project: Judged, arguments: list[str], complaint: str) -> None:
    """Before anybody is asked, with what to do."""
    folder = project.folder / "two_labels"
    folder.mkdir()
    config = {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "a", "1": "b"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"weights")
    with (project.folder / "harness.toml").open("a") as file:
        file.write(
            '[models.locked]\nendpoint = "http://127.0.0.1:1"\nmodel = "m"\nkey_env = "NOT_SET_ANYWHERE"\n'
        )
    said = project.complaint(2, "judge", "one", "two", "--prompts", "prompts.jsonl", *arguments)
    assert complaint in said
    assert [] == project.judge.asked == project.candidates.asked


def test_a_judge_of_its_own_answers(project: Judged) -> None:
    """It may judge, with a warning; so may one that shares a model with a candidate, by the name served."""
    project.candidates.answer = lambda asked: longer(asked) if "<answer" in asked.text else answer(asked)
    [note] = project.judged("--by", "one")["notes"]
    assert note.startswith("judge 'one' is a candidate too, and judges its own answers")
    [note] = project.judged("--by", "served")["notes"]
    assert note.startswith("judge 'served' shares its base 'm' with 'one' and 'two'")
    assert [] == project.judged("--by", "gemini")["notes"]


# ---------------------------------------------------------------- until it is decided


def test_asked_until_it_is_decided(project: Judged) -> None:
    """A judge that always prefers one model is asked about some pairs only, and again about no more."""
    project.candidates.answer = lambda asked: (
        f"It is {len(asked.text)}." + (" Surely." if asked.path.endswith("/chat/completions") else "")
    )
    found = project.judged("--by", "served", "--until-decided")
    [session] = found["sessions"]
    assert "decided" == session["ended"]
    assert session["decided"]["decided"] is True
    assert 0.0 == session["decided"]["share"], "the left one wins"
    assert session["decided"]["interval"]["high"] < 0.5
    pairs = session["decided"]["pairs"]
    assert pairs < PAIRS
    assert (2 * pairs, 2 * (PAIRS - pairs)) == (session["calls"], session["spared"])
    assert 2 * pairs == len(project.judge.asked) == len(project.preferences())

    code, out, _ = project.run(
        *("judge", "one", "two", "--prompts", "prompts.jsonl", "--by", "served", "--until-decided")
    )
    assert 0 == code
    printed = " ".join(out.split())
    assert "two against one by served: DECIDED for one: share of wins 0.000" in printed
    assert f"after {pairs} pairs, at level 0.95 " in printed
    assert f"; {2 * (PAIRS - pairs)} of {2 * PAIRS} calls saved" in printed
    assert 2 * pairs == len(project.judge.asked)


def test_what_cannot_be_decided_is_given_up(project: Judged) -> None:
    """As soon as the pairs that are left would not decide it even if all went the same way."""
    found = project.judged("--by", "served", "--until-decided", "--level", "0.999")
    [session] = found["sessions"]
    assert "undecidable" == session["ended"]
    assert session["decided"]["decided"] is False
    assert 0 < session["spared"] < 72


def test_a_coin_is_not_decided(project: Judged) -> None:
    """Orders that disagree are ties, and ties alone decide nothing, however many they are."""
    project.judge.answer = lambda asked: in_form(asked, "A")
    found = project.judged("--by", "served", "--until-decided")
    assert found["sessions"][0]["decided"]["decided"] is False
    assert found["sessions"][0]["decided"]["share"] in (None, 0.5)


# ---------------------------------------------------------------- reward models


@pytest.fixture
def rated(project: Judged) -> Judged:
    """The same project with a reward model on this machine."""
    tiny_reward(project.folder / "reward")
    with (project.folder / "harness.toml").open("a") as file:
        file.write('[models.reward]\npath = "./reward"\n[compare]\njudges = ["reward"]\n')
    return project


def test_a_reward_model_judges(rated: Judged) -> None:
    """The higher score wins, the difference is kept, each answer is rated once, and no order is shown."""
    found = rated.judged()
    [session] = found["sessions"]
    assert 2 * (PAIRS - 4) == session["calls"]
    assert found["spent"] is None
    chosen = [each for each in found["preferences"] if each["reason"] is None]
    assert PAIRS - 4 == len(chosen)
    assert all((each["difference"] > 0) == (each["winner"] == "right") for each in chosen)
    assert {"left", "right"} == {each["winner"] for each in chosen}
    [finding] = found["analysis"]["win_rates"]
    assert (PAIRS - 4, 4, None, None) == tuple(
        finding[key] for key in ("n", "identical", "position", "consistency")
    )
    assert found["raters"][0]["id"].startswith("judge:reward:")
    assert [] == rated.judge.asked


def test_scores_are_remembered(rated: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time no model is loaded."""
    first = rated.judged()
    monkeypatch.setattr(
        "harness.verbs.judge.open_reward_model", lambda *given, **named: pytest.fail("loaded")
    )
    again = rated.judged()
    assert first["preferences"] == again["preferences"]
    assert (0, 72) == (again["sessions"][0]["calls"], again["sessions"][0]["recalled"])


def test_equal_scores_are_a_tie(rated: Judged) -> None:
    """A model that rates everything alike prefers nothing."""
    network = AutoModelForSequenceClassification.from_pretrained(rated.folder / "reward")
    network.score.weight.data.zero_()
    network.save_pretrained(rated.folder / "reward")
    chosen = [each for each in rated.judged()["preferences"] if each["reason"] is None]
    assert {("tie", 0.0)} == {(each["winner"], each["difference"]) for each in chosen}


def test_an_answer_that_cannot_be_rated(rated: Judged) -> None:
    """Longer than the reward model's window: no verdict, with its reason."""
    rated.candidates.answer = lambda asked: (
        "Ten. " * (100 if "Which number is 1?" in asked.text else 1) + asked.path
    )
    found = rated.judged()
    [unrated] = [each for each in found["preferences"] if each["winner"] is None]
    assert "p1" == unrated["sample"]
    assert unrated["reason"].startswith("refused: ")
    assert unrated["reason"].endswith("where the reward model's window holds 1 to 128")

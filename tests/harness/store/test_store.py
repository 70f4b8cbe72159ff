"""What is kept comes back as it was."""

import subprocess
import sys
from dataclasses import replace

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError

from harness.errors import StoreError
from harness.records.answers import EvaluationRequest, LogLikelihood, Metric, Observation, Response, Score
from harness.records.preferences import Preference, Rater, Study, Vote
from harness.store import CutAnswers, Failures, KeptAnswer, KeptModel, KeptStage, Store, answer_key
from harness.store.frames import frame
from tests.harness.store.made import A_RUN, FINGERPRINT, begun, kept, row


@pytest.mark.parametrize(
    "answer",
    [
        Response(text="", stop_reason="length", truncated=7),
        Response(
            text="nul \0, half of a pair \ud800, <script>, 'quotes', 語", stop_reason="refused", reason="no"
        ),
        LogLikelihood(logprob=-0.1 - 0.2, greedy=True, tokens=2, truncated=1),
        LogLikelihood(logprob=float("-inf"), greedy=False, tokens=1),
    ],
)
def test_an_answer_comes_back_exactly(store: Store, answer: Response | LogLikelihood) -> None:
    """Every string and float a model can produce survives, and the answer then carries its key."""
    request = {"kind": "any"}
    key = answer_key(FINGERPRINT, request)

    store.answers.keep([KeptAnswer(key=key, fingerprint=FINGERPRINT, request=request, answer=answer)])

    assert {key: replace(answer, key=key)} == store.answers.known([key, answer_key("unknown", request)])


def test_the_first_answer_stays(store: Store) -> None:
    """Who comes second with another answer to the same request is given the first one."""
    first, second = kept("first"), kept("second")

    assert {first.key: replace(first.answer, key=first.key)} == store.answers.keep([first])
    assert {first.key: replace(first.answer, key=first.key)} == store.answers.keep([second])


def test_requests_share_long_texts_and_not_answers(store: Store, url: str) -> None:
    """One long question to two models is stored once, and each model has its own answer."""
    question = "a long question " * 50
    ours, theirs = kept("ours", asked=question), kept("theirs", asked=question, fingerprint="sha256:other")

    store.answers.keep([ours, theirs])

    found = store.answers.known([ours.key, theirs.key])
    assert ["ours", "theirs"] == [answer.text for answer in found.values() if isinstance(answer, Response)]
    with create_engine(url).connect() as connection:
        assert 1 == connection.exec_driver_sql("SELECT count(*) FROM texts").scalar()
        [request] = connection.exec_driver_sql("SELECT content FROM requests").scalars()
    assert "a long question" not in request
    assert [] == store.integrity.complaints()


def test_many_keys_are_looked_up_in_their_order(store: Store) -> None:
    """More keys than one query takes are found, in the order asked for."""
    answers = [kept(str(number), asked=str(number)) for number in range(2500)]
    store.answers.keep(answers)
    keys = [answer.key for answer in reversed(answers)]

    assert keys == list(store.answers.known(keys))


def test_keeping_nothing_is_nothing(store: Store) -> None:
    """Empty lists are allowed everywhere and leave no trace."""
    begun(store)

    store.runs.keep_rows("run", [])
    store.preferences.keep([])

    assert {} == store.answers.keep([])
    assert [] == list(store.runs.rows("run"))
    assert {} == store.runs.observations("run")


def test_a_row_comes_back_whole(store: Store) -> None:
    """Samples, answers by key, answers that were not kept, and scores in their order."""
    begun(store)
    [answer] = store.answers.keep([kept("kept")]).values()
    assert isinstance(answer, Response)
    scores = (
        Score(metric="b", value=0.5),
        Score(metric="a", value=None, reason="empty"),
        Score(metric="b", value=1),
    )
    rows = [row(2, answer, scores=scores), row(0, Response(text="not kept", stop_reason="end")), row(1)]

    store.runs.keep_rows("run", [(each.position, each) for each in rows])

    assert sorted(rows, key=lambda each: each.position) == list(store.runs.rows("run"))


def test_rows_are_read_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run longer than a page is read to its end, each row once."""
    monkeypatch.setattr("harness.store.runs.ROWS_AT_ONCE", 2)
    begun(store)
    rows = [row(position) for position in range(5)]

    store.runs.keep_rows("run", list(enumerate(rows)))

    assert rows == list(store.runs.rows("run"))


def test_a_row_kept_again_is_replaced(store: Store) -> None:
    """A resumed run may give a row again; it then counts once, with its new scores."""
    begun(store)
    two, one = (Score(metric="a", value=0), Score(metric="a", value=0)), (Score(metric="a", value=1),)

    store.runs.keep_rows("run", [(0, row(0, scores=two))])
    store.runs.keep_rows("run", [(0, row(0, scores=one))])

    assert [row(0, scores=one)] == list(store.runs.rows("run"))


def test_failed_answers_are_counted_until_they_are_replaced(store: Store) -> None:
    """Whatever a text says, only an answer that failed counts; its reason is told, the commonest first."""
    begun(store)
    down = Response(text="", stop_reason="failed", reason="down")
    slow = Response(text="", stop_reason="failed", reason='"slow"')
    liar = kept('{"stopped":"failed"}')
    store.answers.keep([liar])
    fine = replace(liar.answer, key=liar.key)
    unkept = Response(text='"stopped":"failed"', stop_reason="end")
    rows = [(0, row(0, down, slow, fine)), (1, row(1, down)), (2, row(2, fine, unkept))]  # type: ignore[arg-type]
    store.runs.keep_rows("run", rows)
    assert Failures(answers=3, samples=2, reason="down") == store.runs.failures("run")

    store.runs.keep_rows("run", [(0, row(0, unkept)), (1, row(1, unkept))])
    assert store.runs.failures("run") is None
    assert store.runs.failures("no such run") is None


def _kept_as(store: Store, stopped: str, text: str, fingerprint: str = FINGERPRINT) -> Response:
    """An answer in the store that ended like this."""
    whole = kept(text, asked=text, fingerprint=fingerprint)
    answer = replace(whole.answer, stop_reason=stopped)  # type: ignore[type-var]
    [found] = store.answers.keep([replace(whole, answer=answer)]).values()
    assert isinstance(found, Response)
    return found


def test_cut_answers_are_counted(store: Store) -> None:
    """Each use of an answer counts; a text that only looks cut does not, nor does a judge's reply."""
    begun(store)
    cut, within = _kept_as(store, "length", "begun"), _kept_as(store, "thinking", "")
    whole = _kept_as(store, "end", '"stopped":"length"')
    judges = _kept_as(store, "length", "a judge's reply", fingerprint="sha256:judge")
    failed = Response(text="", stop_reason="failed", reason='"stopped":"length"')
    store.runs.keep_rows("run", [(0, row(0, cut, whole, judges)), (1, row(1, cut, within, failed))])

    assert CutAnswers(cut=2, thinking=1, answers=4) == store.runs.cut_answers("run")
    store.runs.keep_rows("run", [(0, row(0, whole)), (1, row(1, judges))])
    assert store.runs.cut_answers("run") is None


def test_draws_share_a_request(store: Store, url: str) -> None:
    """What is asked again with another seed is kept once, and each draw has its answer."""
    requests = [{"kind": "generate", "prompt": "question", "draw": draw} for draw in range(25)]
    draws = [
        replace(kept(str(draw)), key=answer_key(FINGERPRINT, request), request=request)
        for draw, request in enumerate(requests)
    ]
    store.answers.keep(draws)

    with create_engine(url).connect() as connection:
        assert 1 == connection.exec_driver_sql("SELECT count(*) FROM requests").scalar()
    assert {each.key: replace(each.answer, key=each.key) for each in draws} == store.answers.known(
        [each.key for each in draws]
    )
    assert [] == store.integrity.complaints()


def test_a_row_names_answers_that_are_kept(store: Store) -> None:
    """Answers come before the rows that name them."""
    begun(store)
    lost = replace(kept("?").answer, key=kept("?").key)
    with pytest.raises(StoreError, match=f"'sample-0' names the answer {lost.key}, which was not kept"):
        store.runs.keep_rows("run", [(0, row(0, lost))])  # type: ignore[arg-type]  # it is a response
    assert 0 == store.runs.count_rows("run")


def test_a_row_whose_answer_is_gone_is_an_error(store: Store, url: str) -> None:
    """A missing answer is damage, and never silently an empty cell."""
    begun(store)
    [answer] = store.answers.keep([kept("?")]).values()
    store.runs.keep_rows("run", [(0, row(0, answer))])  # type: ignore[arg-type]  # it is a response
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql("DELETE FROM answers")

    with pytest.raises(StoreError, match="damaged: sample 'sample-0' names the lost answer 1"):
        list(store.runs.rows("run"))


def test_observations_carry_part_and_cluster(store: Store) -> None:
    """Scores of one metric are numbered within their row; a sample without a cluster is its own."""
    begun(store)
    scores = (
        Score(metric="a", value=1),
        Score(metric="b", value=None, reason="no"),
        Score(metric="a", value=0),
    )

    store.runs.keep_rows("run", [(2, row(2, scores=scores)), (1, row(1, scores=scores[:1]))])

    expected = {
        "a": [
            Observation(sample="sample-1", part=0, cluster="few", value=1.0),
            Observation(sample="sample-2", part=0, cluster="sample-2", value=1.0),
            Observation(sample="sample-2", part=1, cluster="sample-2", value=0.0),
        ],
        "b": [Observation(sample="sample-2", part=0, cluster="sample-2", value=None)],
    }
    found = store.runs.observations("run")
    assert expected == {metric: list(observed) for metric, observed in found.items()}
    assert [[], ["no"]] == [observed.reasons.tolist() for observed in found.values()]
    assert {"b": {"no": 1}} == store.runs.unscored("run")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_a_score_is_a_number_or_says_why_not(store: Store, value: float | None) -> None:
    """No value without a reason, and no NaN, which SQLite would turn into a silent NULL."""
    begun(store)

    with pytest.raises(IntegrityError, match=r"unscored_has_a_reason|score_is_finite"):
        store.runs.keep_rows("run", [(0, row(0, scores=(Score(metric="a", value=value),)))])

    assert [] == list(store.runs.rows("run"))


def test_no_text_is_too_odd_to_be_kept(store: Store) -> None:
    """A server's reason may hold NUL, which PostgreSQL refuses, or half of a character."""
    odd = Score(metric="mc1", value=None, reason="cut \ud83d at \0")
    begun(store)
    store.runs.keep_rows("run", [(0, row(0, scores=(odd,)))])
    assert {"mc1": {"cut ⟨U+D83D⟩ at ␀": 1}} == store.runs.unscored("run")


def test_a_run_comes_back_as_it_began(store: Store) -> None:
    """Beginning it again changes nothing: a killed run goes on under its id."""
    run = begun(store)

    store.runs.begin(replace(run, started="later", environment={}))

    assert run == store.runs.get("run")
    assert store.runs.get("unknown") is None


def test_a_run_finishes_once(store: Store) -> None:
    """The time at which it first became whole stays."""
    begun(store)

    store.runs.finish("run", "2026-11-22T11:00:00+00:00")
    store.runs.finish("run", "2026-11-22T12:00:00+00:00")

    assert replace(A_RUN, finished="2026-11-22T11:00:00+00:00") == store.runs.get("run")


def test_what_a_metric_is_split_by_comes_back(store: Store) -> None:
    """Splits and notes of metrics are kept with the run."""
    metric = Metric(name="mc1", kind="binary", splits=("category", "type"), note="mind this")
    run = replace(begun(store, "other"), id="run", metrics=(metric,))
    store.runs.begin(run)
    assert run == store.runs.get("run")


def test_a_metric_of_before_there_were_splits(store: Store, url: str) -> None:
    """A run that an older version kept has metrics that are split by nothing."""
    begun(store)
    old = '[{"headline":true,"higher_is_better":true,"kind":"binary","name":"mc1"}]'
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET metrics = '{old}'")
    kept = store.runs.get("run")
    assert kept is not None
    assert A_RUN.metrics == kept.metrics


def test_tags_are_found_by_sample(store: Store) -> None:
    """What a run's samples can be split by, and no other run's."""
    begun(store)
    begun(store, "other")
    store.runs.keep_rows("run", [(0, row(0)), (1, row(1))])
    store.runs.keep_rows("other", [(2, row(2))])
    tags = {"category": "numbers", "levels": [1, 2]}
    assert {"sample-0": tags, "sample-1": tags} == store.runs.tags("run")


def test_runs_are_found_by_model_and_suite(store: Store) -> None:
    """Oldest first, whatever the order in which they were kept."""
    begun(store, "young", started="2026-11-23")
    begun(store, "old", started="2026-11-21")
    begun(store, "other suite", suite="ifeval")
    begun(store, "other model", model="dpo")

    assert ["old", "young"] == [run.id for run in store.runs.find(model="sft", suite="truthfulqa")]
    assert 4 == len(store.runs.find())


def test_the_latest_run_is_the_last_that_was_named(store: Store) -> None:
    """By when it became whole or an evaluation asked for it again; never one that is unfinished."""
    for run_id, started in [("long", "2026-11-20"), ("short", "2026-11-21"), ("killed", "2026-11-25")]:
        begun(store, run_id, started=started)
    assert store.runs.latest("sft", "truthfulqa") is None

    store.runs.finish("short", "2026-11-22")
    store.runs.finish("long", "2026-11-24")

    assert ["short", "long"] == [run.id for run in store.runs.whole()]

    store.runs.keep_request("short", EvaluationRequest(at="2026-11-25", settings={}), ())
    latest = store.runs.latest("sft", "truthfulqa")
    assert latest is not None
    assert "short" == latest.id


def test_a_run_needs_its_model(store: Store) -> None:
    """Foreign keys are on: no run without the model it was asked of."""
    with pytest.raises(IntegrityError):
        store.runs.begin(A_RUN)


def test_a_model_is_kept_with_its_template_hash(store: Store) -> None:
    """The hash lets two runs' templates be compared without their text."""
    begun(store)

    expected = KeptModel(
        name="sft",
        fingerprint=FINGERPRINT,
        source={"path": "folder"},
        description={"device": "cpu"},
        chat_template="{{ messages }}",
        chat_template_hash="sha256:f24189f08c85a1eb19a737306c3a13e85462ee33d964f28108d64a2485fa2171",
    )
    assert expected == store.models.get("sft", FINGERPRINT)
    assert store.models.get("sft", "sha256:other") is None


def test_preferences_come_back_and_are_replaced(store: Store) -> None:
    """A rater has one choice per pair and order shown; raters and orders stand beside each other."""
    for run_id in ("left", "right"):
        begun(store, run_id)
        store.runs.keep_rows(run_id, [(0, row(0))])
    failed = Preference(
        sample="sample-0",
        left_run="left",
        right_run="right",
        shown_first="left",
        winner=None,
        rater="judge",
        reason="unreadable reply",
    )
    judged = replace(failed, winner="left", reason=None, seconds=1.5, cost=0.01)
    swapped = replace(failed, shown_first="right", winner="tie", reason=None)
    human = replace(failed, rater="human", winner="right", reason=None)

    store.preferences.keep([failed, human])
    store.preferences.keep([judged, swapped])

    assert [human, judged, swapped] == store.preferences.find(left_run="left", right_run="right")
    assert [human] == store.preferences.find(rater="human")


def test_a_preference_is_about_samples_that_both_runs_have(store: Store) -> None:
    """A choice between answers that nobody gave is refused."""
    begun(store)
    choice = Preference(
        sample="sample-0", left_run="run", right_run="run", shown_first="left", winner="tie", rater="judge"
    )

    with pytest.raises(IntegrityError):
        store.preferences.keep([choice])


def test_pipelines_that_share_a_stage_each_have_it(store: Store) -> None:
    """Stages come by pipeline and position; keeping one again replaces it."""
    shared = KeptStage(
        pipeline="sft",
        identity="sha256:stage",
        position=0,
        kind="sft",
        folder="stages/sft-1",
        manifest={"seed": 0},
        started="2026-11-22T10:00:00+00:00",
        finished="2026-11-22T10:01:00+00:00",
    )
    longer = replace(shared, pipeline="dpo"), replace(shared, pipeline="dpo", identity="sha256:b", position=1)

    for stage in (*reversed(longer), shared, shared):
        store.stages.keep(stage)

    assert list(longer) == store.stages.find("dpo")
    assert [*longer, shared] == store.stages.find()


def test_verify_finds_nothing_in_a_good_store(store: Store) -> None:
    """Hashes of what is stored are what was stored under."""
    begun(store)
    [answer] = store.answers.keep([kept("kept")]).values()
    assert isinstance(answer, Response)
    store.runs.keep_rows("run", [(0, row(0, answer))])

    assert [] == store.integrity.complaints()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ('UPDATE requests SET content = \'{"kind":"other"}\'', "requests: the content under"),
        ("UPDATE answers SET draw = 7", "is not the key of its model and request"),
        ("UPDATE texts SET text = '\"short\"'", "texts: the content under"),
        ("DELETE FROM texts", "refers to the text sha256:"),
        (
            "UPDATE samples SET content = replace(content, 'Be brief', 'Be rude')",
            "samples: the content under",
        ),
        ("UPDATE fingerprints SET fingerprint = 'another model'", "is not the key of its model and request"),
        ("DELETE FROM answers", "which is not kept"),
    ],
)
def test_verify_names_what_was_changed(store: Store, url: str, damage: str, complaint: str) -> None:
    """A changed request, text, sample or fingerprint and a lost text or answer are each a line."""
    begun(store)
    [answer] = store.answers.keep([kept("kept", asked="a long question " * 50)]).values()
    assert isinstance(answer, Response)
    store.runs.keep_rows("run", [(0, row(0, answer))])

    with create_engine(url).begin() as connection:
        connection.exec_driver_sql(damage)

    line = store.integrity.complaints()[0]
    assert complaint in line


def test_a_frame_has_one_line_per_score(store: Store) -> None:
    """For notebooks: unscored is NaN with its reason, rows in order."""
    begun(store)
    scores = (Score(metric="a", value=1), Score(metric="a", value=None, reason="empty"))
    store.runs.keep_rows("run", [(1, row(1)), (0, row(0, scores=scores))])

    found = frame(store.database, ["run"])

    names = ["model", "suite", "sample", "cluster", "metric", "part"]
    assert [
        ["sft", "truthfulqa", "sample-0", "few", "a", 0],
        ["sft", "truthfulqa", "sample-0", "few", "a", 1],
    ] == found[names].to_numpy().tolist()
    assert [False, True] == list(found["value"].isna())
    assert "empty" == found["reason"][1]


def test_an_empty_frame_has_its_columns() -> None:
    """A notebook may group and filter before anything was run."""
    with Store.open("sqlite://") as store:
        assert "float64" == frame(store.database, [])["value"].dtype


def test_opening_a_store_loads_no_heavy_library() -> None:
    """A second comparison takes seconds only because reading the store needs none of these."""
    script = (
        "import sys, harness.recorded, harness.store; harness.store.Store.open('sqlite://').close();"
        "print(sorted({'numpy', 'pandas', 'scipy', 'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    )

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]" == loaded.stdout.strip()


def test_raters_come_back(store: Store) -> None:
    """Who a preference is of stands beside it, and is replaced under the same id."""
    judge = Rater(id="judge-1", kind="judge", name="gemini", details={"template": "pairwise"})
    store.preferences.keep_rater(judge)
    store.preferences.keep_rater(Rater(id="ana", kind="human", name="ana"))
    store.preferences.keep_rater(Rater(id="ana", kind="human", name="Ana"))

    assert [Rater(id="ana", kind="human", name="Ana"), judge] == store.preferences.raters()


def test_a_study_is_never_changed(store: Store) -> None:
    """A second one of the same name is not kept, and the time of unsealing is the first one."""
    sealed = Study(name="s", created="2026-01-01", design={"sides": [1, 0]}, commitment="sha256:1")
    assert store.studies.keep(sealed)
    assert not store.studies.keep(replace(sealed, commitment="sha256:2"))
    assert [sealed] == store.studies.find()

    store.studies.unseal("s", "2026-01-02")
    store.studies.unseal("s", "2026-01-03")
    assert [replace(sealed, unsealed="2026-01-02")] == store.studies.find()


def test_votes_are_only_added_and_a_token_counts_once(store: Store) -> None:
    """They come back in the order they came, and the same act sent twice is one vote."""
    store.studies.keep(Study(name="s", created="2026-01-01", design={}, commitment="sha256:1"))
    first = Vote(study="s", rater="ana", ballot="b1", choice="left", token="t1", at="1", seconds=2.5)
    second = replace(first, choice="undo", token="t2")
    other = replace(first, rater="bia")

    assert 2 == store.studies.keep_votes([first, second])
    assert 1 == store.studies.keep_votes([replace(first, choice="right"), other])
    assert [first, second, other] == store.studies.votes("s")
    assert [other] == store.studies.votes("s", rater="bia")

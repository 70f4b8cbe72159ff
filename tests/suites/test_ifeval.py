"""IFEval: the four numbers from known answers, that scoring repeats itself, and which rows are refused."""

import copy
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import nltk
import pytest

from harness.comparison.paired import ScoredRun
from harness.errors import DataError, DownloadNeeded
from harness.observed import Observed
from harness.records.answers import Metric, Observation, Prompt, Response, Row
from suites.ifeval import IFEval
from suites.ifeval_instructions import ARGUMENTS, LANGUAGES
from suites.settings import IFEvalSettings, SuiteContext
from tests.harness.compared import compared
from tests.reports.boards import run_of
from tests.suites.rows import PROMPTS, write_rows
from tests.suites.scripted import FunctionEngine, says

ANSWERS = {
    PROMPTS[0]["prompt"]: "Sure, here it is:\nA saw cuts wood well.",
    PROMPTS[1]["prompt"]: "all lowercase here, as it should be",
    PROMPTS[2]["prompt"]: "Das ist ein deutscher Satz und hier ist er zu Ende: done",
}


@pytest.fixture(autouse=True)
def sentence_data(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in punkt_tab's place, so that nothing is downloaded: made-up rows cut no sentences."""
    if "official" not in request.keywords:
        (tmp_path / "nltk" / "tokenizers" / "punkt_tab").mkdir(parents=True)
        monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk")])


def suite_of(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> IFEval:
    """The suite over these rows."""
    return IFEval(IFEvalSettings(data=write_rows(folder / "rows.jsonl", rows), **settings), SuiteContext())


def asked(suite: IFEval, engine: FunctionEngine) -> list[Row]:
    """All rows, as they stand in the file."""
    return sorted(suite.rows(engine), key=lambda row: row.position)


def values(row: Row, metric: str) -> list[float | None]:
    """A metric's scores in the row, by part."""
    return [score.value for score in row.scores if score.metric == metric]


def answer(prompt: Prompt) -> Response:
    """The scripted answer."""
    assert isinstance(prompt.content, str)
    return says(ANSWERS[prompt.content])


def test_four_numbers(tmp_path: Path) -> None:
    """Loosely, the first line with its comma may be dropped; strictly it may not. Instructions are parts."""
    rows = asked(suite_of(tmp_path, PROMPTS), FunctionEngine(answer=answer))
    assert [["1"], ["2"], ["3"]] == [[row.sample.id] for row in rows]
    assert [[0.0], [1.0], [1.0]] == [values(row, "prompt_strict") for row in rows]
    assert [[1.0], [1.0], [1.0]] == [values(row, "prompt_loose") for row in rows]
    assert [[0.0, 1.0], [1.0], [1.0, 1.0]] == [values(row, "instruction_strict") for row in rows]
    assert [[1.0, 1.0], [1.0], [1.0, 1.0]] == [values(row, "instruction_loose") for row in rows]


def test_empty_answer_is_wrong(tmp_path: Path) -> None:
    """No answer follows no instruction, as in the official code: scored 0, not left out."""
    rows = asked(suite_of(tmp_path, PROMPTS), FunctionEngine())
    assert {0.0} == {score.value for row in rows for score in row.scores}


def test_failed_answer_is_unscored(tmp_path: Path) -> None:
    """A failure is no answer: every score, in every part, is missing with its reason."""
    failed = Response(text="", stop_reason="failed", reason="server gone")
    first = asked(suite_of(tmp_path, PROMPTS), FunctionEngine(answer=lambda prompt: failed))[0]
    assert len(first.scores) == 2 + 2 * 2
    assert {(None, "failed: server gone")} == {(score.value, score.reason) for score in first.scores}


def test_a_keyword_that_takes_years(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The official code reads keywords as patterns: such a row is unscored, and the others are not."""
    monkeypatch.setattr("harness.adaptors.lm_eval.tasks.PATIENCE", 0.5)
    row = {**PROMPTS[1], "key": 77, "prompt": "Mention it.", "instruction_id_list": ["keywords:existence"]}
    rows = asked(
        suite_of(tmp_path, [{**row, "kwargs": [{"keywords": ["(a+)+!"]}]}, PROMPTS[1]]),
        FunctionEngine(answer=lambda prompt: says("a" * 60)),
    )
    assert {None} == {score.value for score in rows[0].scores}
    assert {"scoring took longer than 0.5 s, as a regular expression can, and was ended"} == {
        score.reason for score in rows[0].scores
    }
    assert None not in {score.value for score in rows[1].scores}


def test_generation(tmp_path: Path) -> None:
    """Greedy, without stop strings, as long as lm-eval lets an answer be or as long as was set."""
    for settings, length in (({}, 1280), ({"max_tokens": 7}, 7)):
        engine = FunctionEngine()
        suite = suite_of(tmp_path, PROMPTS, **settings)
        asked(suite, engine)
        assert [suite.sampling] == engine.samplings
        assert (length, 0.0, ()) == (
            suite.sampling.max_tokens,
            suite.sampling.temperature,
            suite.sampling.stop,
        )


def test_chat_template(tmp_path: Path) -> None:
    """A prompt is one user turn."""
    engine = FunctionEngine(chat_template="{{ any }}")
    asked(suite_of(tmp_path, PROMPTS), engine)
    assert f"<user>{PROMPTS[0]['prompt']}<assistant>" in [prompt.content for prompt in engine.prompts]


def test_scoring_repeats_itself(tmp_path: Path) -> None:
    """An undecided language comes out the same whatever `random` is at, and `random` is as it was."""
    undecided = {
        "prompt": "Answer in English.",
        "instruction_id_list": ["language:response_language"],
        "kwargs": [{"language": "en"}],
    }
    suite = suite_of(tmp_path, [{**undecided, "key": key} for key in range(12)])
    engine = FunctionEngine(answer=lambda prompt: says("Hello world"))
    outcomes = []
    for seed in range(4):
        random.seed(seed)
        before = random.getstate()
        outcomes.append([row.scores for row in asked(suite, engine)])
        assert before == random.getstate()
    assert all(outcomes[0] == other for other in outcomes)


@pytest.mark.parametrize(
    ("letter", "relation", "text", "strict", "loose"),
    [
        ("#", "at least", "#one #two", 1.0, 1.0),
        ("#", "at least", "eeee jjjj", 0.0, 0.0),
        ("#", "at least", "#one", 0.0, 0.0),
        ("#", "less than", "#one #two", 0.0, 0.0),
        ("#", "less than", "#one\n#two", 0.0, 1.0),
        ("#", "less than", "##\none\n##", 0.0, 1.0),
        ("*", "less than", "*one* two", 0.0, 1.0),
        ("#", "less than", " \n", 0.0, 0.0),
        ("é", "at least", "Élan, élan", 1.0, 1.0),
        ("E", "at least", "eel", 1.0, 1.0),
    ],
)
def test_a_character_that_is_no_letter(
    tmp_path: Path, letter: str, relation: str, text: str, strict: float, loose: float
) -> None:
    """It is counted as asked, where the official code counts a letter that it draws; a letter is as ever."""
    row = {
        "key": 1122,
        "prompt": "Use it twice.",
        "instruction_id_list": ["keywords:letter_frequency"],
        "kwargs": [{"letter": letter, "let_frequency": 2, "let_relation": relation}],
    }
    (only,) = asked(suite_of(tmp_path, [row]), FunctionEngine(answer=lambda prompt: says(text)))
    assert {"strict": strict, "loose": loose} == {
        way: values(only, f"instruction_{way}")[0] for way in ("strict", "loose")
    }
    assert [strict] == values(only, "prompt_strict")
    assert [loose] == values(only, "prompt_loose")


def test_errors_of_instructions_are_clustered_by_prompt(tmp_path: Path) -> None:
    """A prompt's instructions share its answer, so what is compared are prompts, each whole.

    Ten prompts with three instructions that stand and fall together are ten observations, not thirty: the
    interval is as wide as that of one instruction per prompt.
    """
    metric = Metric(name="instruction_strict", kind="binary")
    row = {**PROMPTS[0], "instruction_id_list": ["punctuation:no_comma"] * 3, "kwargs": [{}] * 3}
    rows = [{**row, "key": key, "prompt": f"Prompt {key}."} for key in range(10)]

    def scored(model: str, obeyed: int) -> ScoredRun:
        engine = FunctionEngine(
            answer=lambda prompt: says("a b" if int(str(prompt.content)[7:-1]) < obeyed else "a, b")
        )
        kept = asked(suite_of(tmp_path, rows), engine)
        observed = [
            Observation(sample=row.sample.id, part=part, cluster=row.sample.cluster or row.sample.id, value=v)
            for row in kept
            for part, v in enumerate(values(row, metric.name))
        ]
        return ScoredRun(
            run=run_of(model, "ifeval", metrics=(metric,)), observations={metric.name: Observed.of(observed)}
        )

    base, tuned = scored("base", 3), scored("tuned", 8)

    def first_parts(of: ScoredRun) -> ScoredRun:
        kept = {name: them.only(them.parts == 0) for name, them in of.observations.items()}
        return replace(of, observations=kept)

    (whole,) = compared(base, tuned)
    (single,) = compared(first_parts(base), first_parts(tuned))
    assert (10, 10, 10) == (whole.n, whole.clusters, single.n)
    assert single.interval == whole.interval
    assert pytest.approx(single.p, abs=0.02) == whole.p


def test_tags_name_the_instruction_of_each_part(tmp_path: Path) -> None:
    """Type and family stand in the order of the parts."""
    first = asked(suite_of(tmp_path, PROMPTS), FunctionEngine())[0]
    assert first.sample.tags == {
        "instruction": ["punctuation:no_comma", "length_constraints:number_words"],
        "instruction family": ["punctuation", "length_constraints"],
    }


def test_arguments_are_the_official_ones() -> None:
    """The table of instructions has the official types, arguments and languages, none more and none less."""
    # imported here because lm-eval looks for nltk's data as it is imported, and a fixture puts them in place
    from lm_eval.tasks.ifeval.instructions_registry import INSTRUCTION_DICT  # noqa: PLC0415
    from lm_eval.tasks.ifeval.instructions_util import LANGUAGE_CODES  # noqa: PLC0415

    official = {name: set(made(name).get_instruction_args_keys()) for name, made in INSTRUCTION_DICT.items()}
    assert official == {name: set(arguments) for name, arguments in ARGUMENTS.items()}
    assert set(LANGUAGE_CODES) == set(LANGUAGES)


def one(instruction: str, **kwargs: Any) -> dict[str, Any]:
    """What a row holds of one instruction."""
    return {"instruction_id_list": [instruction], "kwargs": [kwargs]}


def words(**kwargs: Any) -> dict[str, Any]:
    """What a row holds of an instruction to write so many words."""
    return one("length_constraints:number_words", **kwargs)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kwargs": [{"no_such": 1}]}, r"\(change_case:english_lowercase\): takes no argument 'no_such'"),
        (
            {"instruction_id_list": ["change_case:english_lowercas"]},
            "no such instruction; did you mean 'change_case:english_lowercase'",
        ),
        (
            words(relation="around", num_words=3),
            "relation must be 'less than' or 'at least', and is 'around'",
        ),
        (words(relation="at least", num_words="three"), "num_words must be a whole number .* is 'three'"),
        (words(relation="at least", num_words=0), "num_words must be a whole number from 1 "),
        (words(relation="at least", num_words=True), "num_words must be a whole number "),
        (words(relation="at least"), "lacks its argument 'num_words'"),
        (
            words(relation="at least", num_word=3),
            "takes no argument 'num_word'; did you mean 'num_words'",
        ),
        (one("language:response_language", language="xx"), "language must be one of en, es"),
        (one("keywords:existence", keywords="tool"), "keywords must be a list"),
        (one("keywords:existence", keywords=[]), "keywords must be a list that is not empty"),
        (one("keywords:existence", keywords=["a", "("]), "keywords must be a regular expression"),
        (one("startend:end_checker", end_phrase=" "), "end_phrase must be a text that is not empty"),
        (
            one("keywords:letter_frequency", letter="ab", let_frequency=1, let_relation="at least"),
            "letter must be one character, and is 'ab'",
        ),
        (
            one(
                "length_constraints:nth_paragraph_first_word",
                num_paragraphs=2,
                nth_paragraph=3,
                first_word="so",
            ),
            "there is no paragraph 3 among 2",
        ),
        ({"kwargs": []}, "1 instructions have 0 kwargs"),
        ({"instruction_id_list": [], "kwargs": []}, "instruction_id_list is empty"),
        ({"key": "two"}, "key: input should be a valid integer"),
        ({"prompt": " "}, "the prompt is empty"),
    ],
)
def test_unusable_row(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    """What no checker could judge, or would make up, is found when the data are read; the row is named."""
    rows = copy.deepcopy(PROMPTS)
    rows[1] |= change
    with pytest.raises(DataError, match=f"row 2: .*{problem}"):
        _ = suite_of(tmp_path, rows).data_hash


def test_hub_and_file_rows_hash_alike(tmp_path: Path) -> None:
    """The hub's rows list every argument, most of them null; that changes neither hash nor scores."""
    wide = [
        {**row, "kwargs": [{"language": None, "num_words": None, **each} for each in row["kwargs"]]}
        for row in PROMPTS
    ]
    one, two = suite_of(tmp_path / "a", PROMPTS), suite_of(tmp_path / "b", wide)
    assert one.data_hash == two.data_hash
    engine = FunctionEngine(answer=answer)
    assert asked(one, engine) == asked(two, engine)


def test_sentence_data_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without punkt_tab and without a network, the message says what to set."""
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: False)
    with pytest.raises(DownloadNeeded, match="set NLTK_DATA to a folder"):
        asked(suite_of(tmp_path, PROMPTS), FunctionEngine())


def test_sentence_data_beside_official_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of official data may hold nltk's; it is used where NLTK_DATA names nothing."""
    monkeypatch.delenv("NLTK_DATA", raising=False)
    monkeypatch.setattr(nltk.data, "path", [])
    (tmp_path / "root" / "nltk_data" / "tokenizers" / "punkt_tab").mkdir(parents=True)
    file = write_rows(tmp_path / "rows.jsonl", PROMPTS)
    suite = IFEval(IFEvalSettings(data=file), SuiteContext(data_root=tmp_path / "root"))
    assert len(asked(suite, FunctionEngine())) == 3


@pytest.mark.official
def test_official_data(official_data: Path) -> None:
    """541 prompts with 834 instructions, every one of which can be checked."""
    suite = IFEval(IFEvalSettings(), SuiteContext(data_root=official_data))
    rows = list(suite.rows(FunctionEngine()))
    assert len(rows) == suite.size == 541
    assert sum(len(values(row, "instruction_strict")) for row in rows) == 834
    letters = [
        (each.key, kwargs["letter"]) for each in suite.items for _, kwargs in each.pairs if "letter" in kwargs
    ]
    assert [(1122, "#"), (1129, "!")] == [(key, letter) for key, letter in letters if not letter.isalpha()]
    notes = {metric.name: str(metric.note) for metric in suite.metrics}
    for name, bound in (
        ("prompt", "2 prompts, 0.0037 of all 541"),
        ("instruction", "2 instructions, 0.0024"),
    ):
        for way in ("strict", "loose"):
            assert f"at most {bound}" in notes[f"{name}_{way}"]
    assert suite.data_hash == "sha256:51ff4c9aee762d70184ad1eb013cbd3ae66821a7a397453d6afa7c9e5fb48e47"

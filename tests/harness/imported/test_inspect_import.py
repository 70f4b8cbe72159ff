"""Logs of inspect_ai become runs: scored by our suite where that can be, and as they stand elsewhere."""

import json
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.files import json_lines
from harness.imported import zip_members
from harness.imported.inspect_logs import read_inspect
from harness.records.answers import Response
from harness.store import Store
from suites.ifeval import IFEval
from suites.settings import IFEvalSettings, SuiteContext
from tests.harness.imported.commands import imported
from tests.harness.imported.commands import scores as of_suite
from tests.harness.imported.inspect_files import STORED, header, logged, sample, zipped
from tests.suites.rows import PROMPTS, write_rows
from tests.working import Working

KINDS = pytest.mark.parametrize("kind", [".eval", ".json"])


scores = partial(of_suite, suite="inspect:sums")


@KINDS
def test_grades_and_numbers(project: Working, kind: str) -> None:
    """Grades are what inspect counts them as; a scorer's several values are metrics; NaN is no score."""
    values: list[Any] = ["C", "P", "I", "N", "yes", True, 0.25, float("nan")]
    samples = [
        sample(place, scores={"graded": value, "several": {"words": place, "kind": "short", "deep": [[[]]]}})
        for place, value in enumerate(values)
    ]
    samples[-1]["scores"]["graded"] |= {"reason": "grader_failed"}
    samples[-1]["output"]["top_logprob"] = float("-inf")
    logged(project.folder / f"log{kind}", samples, figures={"graded": 0.5})
    said = imported(project, f"log{kind}")
    assert (
        "tiny · inspect:sums: 8 samples of inspect_ai 0.3.285, scores of inspect_ai 0.3.285 as they" in said
    )
    assert "several/kind left out: 'short' is neither a grade nor a number" in said
    assert "several/deep left out: a list is neither a grade nor a number" in said
    assert "1 of 8 graded are N (no answer), which inspect_ai counts as 0" in said
    assert "of graded, several/words the log does not say whether more is better" in said
    assert "graded is 0.5 in the log's results, and the mean of its scores 0.535714" in said
    assert scores(project, "tiny") == {
        "graded": [1.0, 0.5, 0.0, 0.0, 1.0, 1.0, 0.25, None],
        "several/words": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    }
    rows = project.rows("tiny", "inspect:sums")
    assert rows[-1].scores[0].reason == "grader_failed"
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert [(metric.name, metric.headline) for metric in run.metrics] == [
        ("graded", True),
        ("several/words", False),
    ]


def test_epochs_are_draws(project: Working) -> None:
    """They are parts of one row, in their order; one that the log lacks is unscored, with that reason."""
    samples = [
        sample("a", "second", {"match": "C"}, epoch=2, input="What is a?"),
        sample("b", "only", {"match": "I"}),
        sample("a", "first", {"match": "I"}),
    ]
    logged(project.folder / "log.eval", samples)
    assert "the log lacks 1 answer of 4, which are in no pair" in imported(project, "log.eval")
    first, second = project.rows("tiny", "inspect:sums")
    assert [each.text for each in first.responses if isinstance(each, Response)] == ["first", "second"]
    assert [each.value for each in first.scores] == [0.0, 1.0]
    assert [each.reason for each in second.scores] == [None, "the log has no such epoch"]


@KINDS
def test_errors_and_limits(project: Working, kind: str) -> None:
    """Samples that an error or a limit ended, and invalidated ones, are unscored, whatever inspect gave."""
    samples = [
        sample(0, scores={"match": "C"}),
        sample(1, None, error={"message": "no such tool\nand a page", "traceback": "…"}, scores=None),
        sample(2, scores={"match": "I"}, limit={"type": "message", "limit": 5}),
        sample(3, scores={"match": "C"}, invalidation={"author": "me"}),
        sample(4, scores={}),
    ]
    logged(project.folder / f"log{kind}", samples)
    said = imported(project, f"log{kind}")
    assert (
        "unscored by how they ended: 1 (error), 1 (limit), 1 (invalidated) of 5 answers; inspect_ai scores 2 "
        "of them" in said
    )
    rows = project.rows("tiny", "inspect:sums")
    assert [(row.scores[0].value, row.scores[0].reason) for row in rows] == [
        (1.0, None),
        (None, "error: no such tool and a page"),
        (None, "limit: message"),
        (None, "invalidated"),
        (None, "inspect_ai gave none"),
    ]
    assert isinstance(rows[1].responses[0], Response)
    assert rows[1].responses[0].unanswered == "absent: error: no such tool and a page"


@pytest.mark.parametrize("killed", [False, True])
def test_a_log_that_ended_early(project: Working, killed: bool) -> None:
    """Its size is the dataset's, and what it has is compared; that of a killed run has no header."""
    samples = [sample(place, scores={"match": "C"}) for place in range(12)]
    logged(project.folder / "whole.eval", samples)
    about = header(samples, status="error", error=None)
    members = [(f"samples/{each['id']}_epoch_1.json", each) for each in samples[:9]]
    parts = [("_journal/start.json" if killed else "header.json", about), *members]
    if killed:
        del about["status"], about["results"]
    else:
        about["error"] = {"message": "out of credit"}
    zipped(project.folder / "part.eval", [(name, json.dumps(content).encode()) for name, content in parts])
    imported(project, "whole.eval", "--as", "whole")
    said = imported(project, "part.eval", "--as", "part")
    status = "started" if killed else "error (out of credit)"
    assert "12 samples of inspect_ai 0.3.285" in said
    assert f"the log, whose status is {status}, lacks 3 answers of 12, which are in no pair" in said
    code, out, err = project.run("report", "whole", "part", "--json")
    assert code == 0, err
    [verdict] = json.loads(out)["verdicts"]
    [comparison] = verdict["comparisons"]
    assert (comparison["n"], comparison["unpaired"]) == (9, 3)


def test_no_samples(project: Working) -> None:
    """A log without any is nothing to import, and keeps nothing else from being imported."""
    logged(project.folder / "logs/empty.eval", [], task="empty", status="error")
    assert "empty.eval holds no samples: its status is error" in project.complaint(2, "import", "logs")
    logged(project.folder / "logs/log.eval", [sample(0, scores={"match": "C"})])
    said = imported(project, "logs")
    assert "inspect:sums: 1 sample" in said
    assert "note: empty.eval holds no samples" in said


def test_shuffled_choices(project: Working) -> None:
    """A question pairs whatever the order of its choices, and what is right is shown by its text."""
    for name, choices, target in (("left", ["stone", "apple"], "B"), ("right", ["apple", "stone"], "A")):
        asked = {
            "input": f"Which is a fruit? A) {choices[0]} B) {choices[1]}",
            "choices": choices,
            "target": target,
        }
        logged(project.folder / f"{name}.eval", [sample("fruit", target, {"choice": "C"}, **asked)])
        imported(project, f"{name}.eval", "--as", name)
    left, right = (project.rows(name, "inspect:sums")[0].sample for name in ("left", "right"))
    assert left.id == right.id
    assert left.target == right.target == "apple"
    assert left.choices == ("stone", "apple")


def test_other_questions_do_not_pair(project: Working) -> None:
    """Of another version of the data, a number may be another question's."""
    for name, question in (("left", "What is 1 + 1?"), ("right", "What is 2 + 2?")):
        logged(project.folder / f"{name}.eval", [sample(1, scores={"match": "C"}, input=question)])
        imported(project, f"{name}.eval", "--as", name)
    _, out, _ = project.run("report", "left", "right")
    assert "no sample has a score in both runs" in " ".join(out.split())


def test_answers(project: Working) -> None:
    """Thoughts stand beside them; why they ended; tokens, those of a cache too; texts from elsewhere."""
    content = [{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "2"}]
    thinker = sample(0, "2", {"match": "C"}, input=[{"id": "x1", "role": "user", "content": "1 + 1?"}])
    thinker["output"]["choices"] = [{"message": {"content": content}, "stop_reason": "max_tokens"}]
    thinker["output"]["usage"]["input_tokens_cache_read"] = 30
    refused = sample(1, "I cannot.", {"match": "I"})
    refused["output"]["choices"][0]["stop_reason"] = "content_filter"
    attached = sample(2, "2", {"match": "C"}, input="attachment://ab", attachments={"ab": "A long question"})
    logged(project.folder / "log.eval", [thinker, refused, attached])
    imported(project, "log.eval")
    rows = project.rows("tiny", "inspect:sums")
    first, second = (row.responses[0] for row in rows[:2])
    assert isinstance(first, Response)
    assert isinstance(second, Response)
    assert (first.text, first.thought, first.stop_reason) == ("2", "Hm.", "length")
    assert (first.prompt_tokens, first.completion_tokens) == (42, 5)
    assert second.unanswered == "refused: content_filter"
    assert rows[2].sample.prompt == "A long question"


def test_conditions(project: Working) -> None:
    """Sampling, solvers and the task's arguments must agree; system prompts and versions are noted."""
    samples = [sample(0, scores={"match": "C"}, input="Q")]
    steps = [{"solver": "generate", "params": {}}]
    plain = {"steps": steps, "config": {"temperature": 0, "max_retries": 9}}
    told = [{"solver": "system_message", "params": {"template": "Be brief."}}, *steps]
    others = {
        "left": {"plan": plain},
        "noted": {
            "plan": {"steps": told, "config": {"temperature": 0, "reasoning_effort": "low"}},
            "packages": {"inspect_ai": "0.3.301", "inspect_evals": "0.3.106"},
        },
        "drawn": {"plan": {**plain, "config": {"temperature": 1.0}}},
        "solved": {"plan": {**plain, "steps": [{"solver": "chain_of_thought", "params": {}}]}},
        "argued": {"plan": plain, "task_args": {"fewshot": 5}},
    }
    for name, said in others.items():
        logged(project.folder / f"{name}.eval", samples, **said)
        imported(project, f"{name}.eval", "--as", name)
    _, out, _ = project.run("report", "left", "noted")
    said = " ".join(out.split())
    assert "NOT COMPARABLE" not in said
    assert "system prompt: none for left but Be brief. for noted" in said
    assert "thinking: left to the model for left but reasoning_effort low for noted" in said
    assert "noted was asked inspect:sums by inspect_ai 0.3.301, inspect_evals 0.3.106" in said
    for name, setting in (
        ("drawn", "setting generation.temperature: 0 for left but 1.0 for drawn"),
        ("solved", "setting solvers:"),
        ("argued", "setting task_args.fewshot: null for left but 5 for argued"),
    ):
        _, out, _ = project.run("report", "left", name)
        assert setting in " ".join(out.split())


def ifeval(**metadata: Any) -> list[dict[str, Any]]:
    """Samples of inspect_evals' ifeval, whose arguments are by number."""
    return [
        sample(
            row["key"],
            "No comma in this",
            {"instruction_following": {"prompt_level_strict": False}},
            input=row["prompt"],
            metadata={**row, "kwargs": dict(enumerate(row["kwargs"])), **metadata},
        )
        for row in PROMPTS
    ]


def test_instructions_are_scored_by_our_suite(project: Working) -> None:
    """Whatever the task is called; how it was asked otherwise than our suite asks is a setting of the run."""
    logged(project.folder / "log.eval", ifeval(), task="inspect_evals/ifeval")
    said = imported(project, "log.eval", "-s", "ifeval")
    assert "tiny · ifeval: 3 samples of inspect_ai 0.3.285, scored by our suite ifeval" in said
    assert of_suite(project, "tiny", "ifeval")["prompt_strict"] == [1.0, 0.0, 0.0]
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert run.settings["sampling"]["temperature"] == 0.0
    assert run.settings["sampling"]["max_tokens"] == "not known"
    as_ours = {
        "steps": [{"solver": "generate"}],
        "config": {"temperature": 0, "max_tokens": 1280, "top_p": 0.9},
    }
    logged(project.folder / "ours.eval", ifeval(), task="ifeval", plan=as_ours)
    imported(project, "ours.eval", "--as", "ours")
    with Store.open("sqlite:///harness.db") as store:
        ours = store.runs.latest("ours", "ifeval")
    assert ours is not None
    own = IFEval(IFEvalSettings(), SuiteContext()).settings("a template")
    assert json.loads(json.dumps(own)) == ours.settings
    failed = {
        **ifeval()[0],
        **sample(1, None, error={"message": "no credit"}),
        "metadata": ifeval()[0]["metadata"],
    }
    logged(project.folder / "failed.eval", [failed, *ifeval()[1:]], task="ifeval")
    imported(project, "failed.eval", "--as", "failed")
    assert of_suite(project, "failed", "ifeval")["prompt_strict"] == [None, 0.0, 0.0]
    plan = {"steps": [], "config": {"temperature": 0.7, "max_tokens": 99}}
    logged(project.folder / "drawn.eval", ifeval(), task="inspect_evals/ifeval", plan=plan)
    imported(project, "drawn.eval", "--as", "drawn")
    _, out, _ = project.run("report", "tiny", "drawn")
    assert "setting sampling.temperature: 0.0 for tiny but 0.7 for drawn" in " ".join(out.split())
    said = imported(project, "log.eval", "--as", "kept", "--keep-scores")
    assert "kept · inspect:inspect_evals/ifeval: 3 samples" in said


def test_instructions_that_our_suite_cannot_take(project: Working) -> None:
    """Their scores stay as they stand, with the reason."""
    twice = [each | {"epoch": epoch} for each in ifeval() for epoch in (1, 2)]
    logged(project.folder / "twice.eval", twice, task="ifeval")
    assert "not scored by ifeval, which takes one answer to every prompt: it has 2 epochs" in imported(
        project, "twice.eval"
    )
    samples = ifeval()
    logged(project.folder / "part.eval", samples[:2], task="ifeval", dataset={"sample_ids": [1, 2, 3]})
    assert "which takes one answer to every prompt: it lacks some" in imported(
        project, "part.eval", "--as", "part"
    )
    logged(project.folder / "named.eval", [each | {"id": "x"} for each in ifeval(key="x")[:1]], task="ifeval")
    said = imported(project, "named.eval", "--as", "named")
    assert "not scored by ifeval: its id is 'x', and IFEval's are whole numbers" in said


def test_the_latest_that_ended_well(project: Working) -> None:
    """Of one task and model; the others are named."""
    samples = [sample(0, scores={"match": "I"})]
    better = [sample(0, scores={"match": "C"})]
    logged(project.folder / "logs/1.eval", samples, created="2026-11-29T10:00:00+00:00")
    logged(project.folder / "logs/2.json", better, created="2026-11-29T11:00:00+00:00")
    logged(project.folder / "logs/3.eval", samples, created="2026-11-29T12:00:00+00:00", status="error")
    said = imported(project, "logs")
    assert "note: 3.eval, 1.eval left out: of the same task and model" in said
    assert scores(project, "tiny") == {"match": [1.0]}
    assert "it was there already" in imported(project, "logs")
    assert "already" not in imported(project, "logs/1.eval")


@pytest.mark.parametrize(
    ("written", "model"),
    [
        ("hf//home/alice/models/tiny", "tiny"),
        ("C:\\models\\tiny", "tiny"),
        ("openai/gpt-4o", "gpt-4o"),
        ("vllm/../", "vllm"),
    ],
)
def test_paths_in_names_of_models(project: Working, written: str, model: str) -> None:
    """A model is called what it is called behind other people's folders."""
    logged(project.folder / "log.eval", [sample(0, scores={"match": "C"})], model=written)
    assert imported(project, "log.eval").startswith(f"{model} · inspect:sums: 1 sample")


def test_the_headline_is_the_tasks(project: Working) -> None:
    """Where it says which; of several members of one name the last counts, as for inspect."""
    values = {"match": "I", "graded": {"a": 1, "b": 0}}
    first, second = (sample(0, scores={**values, "match": grade}) for grade in ("I", "C"))
    about = header([first], headline_metric={"scorer": "graded", "score": "b"})
    members = [("header.json", about), ("samples/0_epoch_1.json", first), ("samples/0_epoch_1.json", second)]
    zipped(
        project.folder / "log.eval",
        [(name, json.dumps(content).encode()) for name, content in members],
        method=STORED,
    )
    imported(project, "log.eval")
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert [each.name for each in run.metrics if each.headline] == ["graded/b"]
    assert scores(project, "tiny")["match"] == [1.0]


def test_figures_of_the_whole(project: Working) -> None:
    """What is no mean over samples is left out by name; the spread of a mean is worked out anew."""
    log = logged(project.folder / "log.json", [sample(0, scores={"match": "C"})], figures={"match": 1.0})
    said = json.loads(log.read_text())
    said["results"]["scores"][0]["metrics"] |= {
        name: {"name": name, "value": 0.5} for name in ("stderr", "f1")
    }
    log.write_text(json.dumps(said))
    assert "note: sums: f1 left out: no mean over samples" in imported(project, "log.json")


LAST = "samples/1_epoch_1.json"


def contents() -> dict[str, bytes]:
    """The members of a log of two samples."""
    samples = [sample(place, scores={"match": "C"}) for place in range(2)]
    everything = {"header.json": header(samples), "samples/0_epoch_1.json": samples[0], LAST: samples[1]}
    return {name: json.dumps(content).encode() for name, content in everything.items()}


def changed(name: str, old: bytes, new: bytes) -> dict[str, bytes]:
    """The members with a text in one of them changed."""
    members = contents()
    assert old in members[name]
    return {**members, name: members[name].replace(old, new)}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({LAST: b"{}"}, "log.eval: lacks header.json and _journal/start.json"),
        ({**contents(), LAST: contents()[LAST][:-20]}, f"log.eval, {LAST}, row 1: is not JSON: "),
        (changed(LAST, b"What is", b"\\ud83d"), f"log.eval, {LAST}: holds half of a character"),
        (changed(LAST, b"What is", b"\xff"), f"log.eval, {LAST}: is not UTF-8 text"),
        (changed(LAST, b'"id": 1', b'"id": 1.5'), f"log.eval, {LAST}: is not what inspect_ai writes: id"),
        (
            changed("header.json", b'"version": 2', b'"version": 1'),
            "header.json: is of version 1 of inspect_ai's",
        ),
        ({**contents(), "samples/2_epoch_1/sample.json": b"{}"}, "log.eval: holds its samples in chunks"),
        (
            changed(
                "header.json", b'"task_version"', b'"task_args": {"a": %s}, "x"' % (b"[" * 120 + b"]" * 120)
            ),
            "log.eval, header.json: is nested deeper than 100 brackets",
        ),
        (
            changed(LAST, b'"What is 1?"', b'[{"role": "user", "content": %s}]' % (b"[" * 120 + b"]" * 120)),
            "input: is",
        ),
        (changed(LAST, b'"epoch": 1', b'"epoch": 1000000000'), "epoch: input should be less than"),
        (changed("header.json", b'"config": {', b'"config": 5, "x": {'), "is not what inspect_ai writes: "),
    ],
)
def test_wrong_members_import_nothing(project: Working, members: dict[str, bytes], message: str) -> None:
    """With the file, the member, and what is wrong with it."""
    zipped(project.folder / "log.eval", list(members.items()))
    assert message in project.complaint(2, "import", "log.eval")
    assert not (project.folder / "harness.db").exists() or not project.runs()


def test_damaged_archives_import_nothing(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut, flipped, encrypted, packed otherwise than said, too large, or no archive at all."""
    log, members = project.folder / "log.eval", list(contents().items())
    whole = zipped(log, members).read_bytes()
    log.write_bytes(whole[:-30])
    assert "log.eval: is no whole zip archive (File is not" in project.complaint(2, "import", "log.eval")
    place = whole.index(LAST.encode()) + 60
    log.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    assert f"log.eval, {LAST}: " in project.complaint(2, "import", "log.eval")
    zipped(log, members, method=STORED, flags=1)
    assert "header.json: is encrypted" in project.complaint(2, "import", "log.eval")
    size = struct.pack("<I", len(members[2][1]))
    log.write_bytes(whole.replace(size, struct.pack("<I", len(members[2][1]) - 1)))
    assert ".json: is damaged: it is not what the archive's" in project.complaint(2, "import", "log.eval")
    checked = struct.pack("<I", zlib.crc32(members[2][1]))
    log.write_bytes(whole.replace(checked, bytes(4)))
    assert f"{LAST}: is damaged: it is not what the" in project.complaint(2, "import", "log.eval")
    log.write_bytes(whole)
    monkeypatch.setattr(zip_members, "MOST", 100)
    assert "bytes; 100 are the most" in project.complaint(2, "import", "log.eval")
    log.write_text("no archive")
    assert "log.eval: is no whole zip archive" in project.complaint(2, "import", "log.eval")
    assert not (project.folder / "harness.db").exists() or not project.runs()


def test_damaged_texts_import_nothing(project: Working) -> None:
    """A `.json` log that was not written to its end, and one whose samples are none."""
    log = logged(project.folder / "log.json", [sample(0, scores={"match": "C"})])
    text = log.read_text()
    log.write_text(text[:-40])
    assert "log.json, row " in project.complaint(2, "import", "log.json")
    log.write_text(text.replace('"samples": [\n    {', '"samples": 5, "x": [\n    {'))
    assert "log.json: samples: a list was expected" in project.complaint(2, "import", "log.json")
    log.write_text(text.replace('"samples": [\n    {', '"samples": [5,\n    {'))
    assert "log.json, sample 1: is not what inspect_ai writes" in project.complaint(2, "import", "log.json")
    assert not (project.folder / "harness.db").exists() or not project.runs()


@pytest.mark.official
def test_official_prompts_are_those_of_our_own_runs(tmp_path: Path, official_data: Path) -> None:
    """What inspect_evals keeps of a prompt is all that its data's hash is over, so that runs compare."""
    samples = []
    for _, row in json_lines(official_data / "ifeval" / "input_data.jsonl"):
        given = [{name: value for name, value in each.items() if value} for each in row["kwargs"]]
        metadata = {**row, "kwargs": dict(enumerate(given))}
        del metadata["key"]
        samples.append(sample(row["key"], input=row["prompt"], metadata=metadata))
    [task] = read_inspect([logged(tmp_path / "log.eval", samples)], lambda name: True)
    write_rows(tmp_path / "rows.jsonl", task.documents())
    own = IFEval(IFEvalSettings(), SuiteContext(data_root=official_data))
    assert own.data_hash == IFEval(IFEvalSettings(data=tmp_path / "rows.jsonl"), SuiteContext()).data_hash

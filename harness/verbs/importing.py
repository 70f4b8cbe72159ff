"""The verb `import`: other tools' results, as runs of ours.

Where the documents carry what a suite of ours needs, their texts are scored by it, so that groups, clusters
and unscored samples exist; otherwise the tool's scores are taken as they stand. The same files again are the
same run. Everything is read, and every mistake found, before anything is kept.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from harness.engine.answers_engine import AnswersEngine
from harness.engine.given_answers import GivenAnswer, GivenAnswers, prompt_key
from harness.engine.hashing import file_hash
from harness.engine.identity import Identity
from harness.errors import DataError, UsageError, nearest
from harness.evaluation import evaluate, plan_run, run_id
from harness.files import first_problem
from harness.imported.formats import FORMATS, Format
from harness.imported.tasks import ImportedTask
from harness.recorded import recorded
from harness.records.answers import Row, Run
from harness.records.models import AnswerFiles, Json, Model
from harness.registry import JUDGES
from harness.store import Store
from harness.verbs.progress import Progress
from harness.verbs.project import Project

SCORED_BY = {
    ("lm_eval", "ifeval"): ("ifeval",),
    ("lm_eval", "truthfulqa"): ("truthfulqa_mc1", "truthfulqa_mc2"),
    ("lm_eval", "truthfulqa-gen"): ("truthfulqa_gen",),
    ("lm_eval", "realtoxicityprompts"): ("realtoxicityprompts",),
    ("lighteval", "ifeval"): ("ifeval",),
    ("lighteval", "truthfulqa"): ("truthfulqa:mc",),
    ("inspect", "ifeval"): ("ifeval",),
    ("helm", "ifeval"): ("ifeval",),
}
"""Suites that score other tools' answers, by tool and suite: the tasks whose documents hold all they need.

lighteval's `truthfulqa:gen` does not: of reference answers without a full stop it keeps the stop alone.
"""
SCORING = ("classifier", "threshold", "scores", *JUDGES, "judge_form", "judge_max_tokens")
"""Settings of suites that say how answers are scored, and not how they were asked: the project's hold."""
ROWS_AT_ONCE = 32768
AS_THEY_STAND = "scored by it, and not again"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRun:
    """A run that was made of other tools' files."""

    run: Run
    tool: str
    rescored: bool
    """Whether a suite of ours scored the texts."""
    known: bool
    """Whether it was in the store before."""
    notes: tuple[str, ...]


def import_results(
    project: Project,
    paths: Sequence[Path],
    *,
    name: str | None = None,
    suites: Sequence[str] = (),
    format_name: str | None = None,
    keep_scores: bool = False,
    progress: Progress | None = None,
) -> list[ImportedRun]:
    """Make runs of what is in these files and folders.

    `name` is the model's here, or stands before those of several in one file; None: what the tool calls it.
    `suites`: only these, by the tool's name of the task or by ours. `format_name`: one of `FORMATS`; None:
    that which each file has. `keep_scores`: no text is scored anew.

    Raises UsageError for files of no known format, a name that harness.toml gives to another model, and
    several models under one name; DataError for files that are damaged or not whole.
    """
    if name is not None and not (name.strip() and name.isprintable()):
        raise UsageError(f"--as {name!r}: a name has a letter, and none that cannot be printed")
    if name is not None and (name != name.strip() or name.startswith("-")):
        raise UsageError(f"--as {name!r}: a name has no blank around it, and no - before it")
    formats = [_format(format_name)] if format_name is not None else FORMATS
    tasks = list(_tasks(paths, _files(paths, formats), formats, suites))
    models = _names(tasks, name)
    for each in models.values():
        if each in project.registry.models or each in project.registry.pipelines:
            raise UsageError(f"{each!r} is a name of harness.toml: choose another with --as")
    found: list[ImportedRun] = []
    with project.store() as store:
        for path, model in models.items():
            theirs = [task for task in tasks if task.path == path]
            found += _import_model(
                project, store, model, theirs, suites, progress or Progress(), keep_scores=keep_scores
            )
    left_out = [note for task in tasks if not task.metrics for note in task.notes]
    if found and left_out:
        found[-1] = replace(found[-1], notes=(*found[-1].notes, *left_out))
    if not found:
        raise UsageError(f"nothing could be taken of these files: {'; '.join(_why_not(tasks, suites))}")
    return found


def _names(tasks: Sequence[ImportedTask], name: str | None) -> dict[str, str]:
    """What each model is called here; those of one file, which cannot be taken one by one, after `name`."""
    models = {task.path: task.model for task in tasks}
    if name is not None and len(models) == 1:
        return dict.fromkeys(models, name)
    of_one_file = all(task.shared for task in tasks) and len({task.files for task in tasks}) == 1
    if len(set(models.values())) < len(models) or (name is not None and not of_one_file):
        distinct = len(set(models.values())) == len(models)
        raise UsageError(
            f"the files are of {len(models)} models ({', '.join(models)}), which need a name each: import "
            f"them one by one, with --as{', or leave --as out' if distinct else ''}"
        )
    return models if name is None else {path: f"{name}-{model}" for path, model in models.items()}


def _why_not(tasks: Sequence[ImportedTask], suites: Sequence[str]) -> list[str]:
    notes = [note for task in tasks for note in task.notes]
    return notes or [f"they hold nothing of {', '.join(suites)}"]


def _format(name: str) -> Format:
    known = {each.name: each for each in FORMATS}
    if name not in known:
        raise UsageError(f"--format {name!r} is none that is read{nearest(name, known)}")
    return known[name]


def _files(paths: Sequence[Path], formats: Sequence[Format]) -> list[Path]:
    """The files that are named, or lie in a folder that is, and those that belong to them."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: there is no such file or folder")
        named = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [*named, *(file for each in formats for one in named for file in each.beside(one))]
    return [file for file in dict.fromkeys(found) if file.is_file()]


def _tasks(
    paths: Sequence[Path], files: Sequence[Path], formats: Sequence[Format], suites: Sequence[str]
) -> Iterator[ImportedTask]:
    """The tasks in the files of each format; files of none, as folders hold them, are passed over."""
    wanted = {
        *suites,
        *(task for (_, suite), tasks in SCORED_BY.items() if suite in suites for task in tasks),
    }
    of_format = {each.name: [file for file in files if each.has(file)] for each in formats}
    if not any(of_format.values()):
        named = ", ".join(map(str, paths))
        if len(formats) == 1:
            raise UsageError(f"{named}: no results of {formats[0].name}, whose files are {formats[0].files}")
        known = ", ".join(each.name for each in formats)
        raise UsageError(
            f"{named}: no results of a known format, which are those of {known} (with --format, what its "
            "files are is said); "
            'answers of another tool can be a model: [models.NAME] answers = "FILE"; votes and judgments '
            "are for `harness preferences --from FILE`"
        )
    for each in formats:
        if of_format[each.name]:
            yield from each.read(of_format[each.name], lambda task: not wanted or task in wanted)


def _rescored_by(tasks: Sequence[ImportedTask]) -> dict[str, list[ImportedTask]]:
    """The suites for which all tasks are there that their documents need."""
    by_name = {(task.family, _definition(task)): task for task in tasks}
    return {
        suite: [by_name[family, each] for each in needed]
        for (family, suite), needed in SCORED_BY.items()
        if all((family, each) in by_name for each in needed)
        and len({_asked(by_name[family, each]) for each in needed}) == 1
    }


def _asked(task: ImportedTask) -> str:
    """The documents and how they were asked, which tasks that are scored together have in common."""
    return json.dumps(
        [task.data_hash, task.chat_template, dict(task.asked_otherwise), dict(task.described)], sort_keys=True
    )


def _apart(tasks: Sequence[ImportedTask]) -> dict[str, str]:
    """By task, why no suite scores it that scores several together."""
    scored = _rescored_by(tasks)
    return {
        task.task: f"not scored by {suite}: that needs {' and '.join(needed)} of the same documents, asked "
        "in the same way; --keep-scores keeps the tool's scores of the other models, too"
        for (family, suite), needed in SCORED_BY.items()
        if suite not in scored
        for task in tasks
        if len(needed) > 1 and task.family == family and _definition(task) in needed
    }


def _definition(task: ImportedTask) -> str | None:
    return task.task if task.definition == "" else task.definition


def _import_model(
    project: Project,
    store: Store,
    name: str,
    tasks: Sequence[ImportedTask],
    suites: Sequence[str],
    progress: Progress,
    *,
    keep_scores: bool,
) -> Iterator[ImportedRun]:
    taken: set[str] = set()
    notes = {} if keep_scores else _apart(tasks)
    for suite, of in ({} if keep_scores else _rescored_by(tasks)).items():
        if suites and suite not in suites:
            continue
        try:
            yield _rescored(project, store, name, suite, of, progress)
        except (UsageError, ValidationError) as error:  # documents of another make, or no scorer
            why = _why(error)
            notes |= {task.task: f"not scored by {suite}: {why}" for task in of}
        else:
            taken |= {task.task for task in of}
    for task in tasks:
        asked_for = not suites or not {task.task, _definition(task)}.isdisjoint(suites)
        if task.metrics and task.task not in taken and asked_for:
            yield _as_they_stand(store, name, task, notes.get(task.task))


def _rescored(
    project: Project, store: Store, name: str, suite: str, tasks: Sequence[ImportedTask], progress: Progress
) -> ImportedRun:
    """Score the answers by a suite of ours over their own documents."""
    first = tasks[0]
    identity = Identity(fingerprint=_fingerprint(tasks), chat_template=first.chat_template)
    model = Model(name=name, source=AnswerFiles(files=tuple(str(file) for file in _all_files(tasks))))
    with TemporaryDirectory() as folder:
        data = Path(folder) / "documents.jsonl"
        data.write_text("".join(f"{json.dumps(document)}\n" for document in first.documents()))
        settings = {"data": str(data), **_scoring(project, suite), **_asking(suite, first)}
        opened = project.suite_with(suite, settings, progress, lambda: store)
        planned = plan_run(model, identity, opened, seed=project.registry.project.seed)
        run = replace(planned, settings=_as_asked(planned.settings, first.asked_otherwise))
        there = store.runs.get(run.id)
        known = there is not None and there.finished is not None
        if not known:
            given = GivenAnswers.of(_merged(answer for task in tasks for answer in task.answers()))
            engine = AnswersEngine(model, identity, given, _described(tasks))
            engine.begin(opened)
            there = evaluate(run, model, opened, recorded(engine, store), store)
    assert there is not None
    return ImportedRun(
        run=there,
        tool=first.tool,
        rescored=True,
        known=known,
        notes=tuple(note for task in tasks for note in task.notes),
    )


def _as_they_stand(store: Store, name: str, task: ImportedTask, note: str | None) -> ImportedRun:
    """Keep the tool's own scores."""
    described = {**_described([task]), "engine": "imported", "matched": AS_THEY_STAND}
    run = Run(
        id="",
        model=name,
        fingerprint=_fingerprint([task]),
        suite=f"{task.family}:{task.task}",
        suite_version=f"imported ({task.scored_by or task.tool}, {task.task} {task.version})",
        metrics=task.metrics,
        data_hash=task.data_hash,
        settings=task.settings,
        seed=task.seed,
        environment={"engine": described},
        size=task.size,
        started=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    parts: list[Json] = [
        name,
        run.fingerprint,
        run.suite,
        run.suite_version,
        [each.name for each in run.metrics],
    ]
    run = replace(run, id=run_id(parts))
    there = store.runs.get(run.id)
    known = there is not None and there.finished is not None
    if not known:
        source = {"files": [str(file) for file in task.files], "tool": task.tool}
        store.models.keep(name, run.fingerprint, source, described, task.chat_template)
        store.runs.begin(run)
        for rows in _in_parts(task.rows()):
            store.runs.keep_rows(run.id, [(row.position, row) for row in rows])
        store.runs.finish(run.id, datetime.now(UTC).isoformat(timespec="milliseconds"), {})
        there = store.runs.get(run.id)
    assert there is not None
    notes = (*task.notes, *([note] if note else []))
    return ImportedRun(run=there, tool=task.tool, rescored=False, known=known, notes=notes)


def _in_parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield some


def _why(error: UsageError | ValidationError) -> str:
    """What is wrong; documents are in a file of ours that is not there any more."""
    if isinstance(error, ValidationError):
        return ": ".join(first_problem(error))
    return error.message if isinstance(error, DataError) else str(error)


def _scoring(project: Project, suite: str) -> dict[str, Json]:
    """What the project says of how a suite scores."""
    given = project.registry.suites.get(suite, {})
    return {key: given[key] for key in SCORING if key in given}


def _asking(suite: str, task: ImportedTask) -> dict[str, Json]:
    """How the tool asked, as settings of a suite."""
    asked: dict[str, Json] = {"chat_template": bool(task.chat_template)}
    generation = task.settings.get("generation")
    named = generation if isinstance(generation, Mapping) else {}
    tokens = named.get("max_gen_toks", named.get("max_tokens"))
    if suite != "truthfulqa" and isinstance(tokens, int):
        asked["max_tokens"] = tokens
    if suite == "realtoxicityprompts":
        drawn = "sampling" in task.asked_otherwise
        asked |= {"samples": task.settings.get("repeats", 1)} if drawn else {"sampling": "greedy"}
    return asked


def _as_asked(settings: Mapping[str, Json], otherwise: Mapping[str, Json]) -> dict[str, Json]:
    """A suite's settings, with what the tool did otherwise in the place of what the suite would have done."""
    found = {key: value for key, value in otherwise.items() if key != "sampling"}
    sampling, drawn = settings.get("sampling"), otherwise.get("sampling")
    if isinstance(sampling, Mapping) and isinstance(drawn, Mapping):
        found["sampling"] = {**sampling, **drawn}
    return {**settings, **found}


def _merged(answers: Iterable[GivenAnswer]) -> list[GivenAnswer]:
    """One row for each document, with the choices that any of the tasks scored."""
    found: dict[tuple[str | None, str], GivenAnswer] = {}
    for answer in answers:
        key = answer.id, prompt_key(answer.prompt or "")
        there = found.setdefault(key, answer)
        there.likelihoods |= answer.likelihoods
    return list(found.values())


def _described(tasks: Sequence[ImportedTask]) -> dict[str, Json]:
    return {**tasks[0].described, "files": [file.name for file in _all_files(tasks)], "tool": tasks[0].tool}


def _all_files(tasks: Sequence[ImportedTask]) -> list[Path]:
    return list(dict.fromkeys(file for task in tasks for file in task.files))


def _fingerprint(tasks: Sequence[ImportedTask]) -> str:
    """The content of the files, and whose of it, where they are of several models."""
    hashes = sorted(file_hash(file) for file in _all_files(tasks))
    whose = sorted({task.path for task in tasks if task.shared})
    return "sha256:" + sha256(json.dumps(["imported", *hashes, *whose]).encode()).hexdigest()

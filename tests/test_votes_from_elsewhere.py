"""Published annotations, as they are, from the command line on: the numbers that others publish of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from statsmodels.stats.inter_rater import cohens_kappa as statsmodels_kappa

from harness.imported.preference_files import read_preference_files
from harness.preferences.analysis import analyse
from harness.preferences.results import HUMANS
from harness.stats.plan import AnalysisPlan
from tests.working import Working


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """A folder with two made-up files in the published shapes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(7)
    Path("annotations.json").write_text(json.dumps(alpaca_eval(rng)), encoding="utf-8")
    Path("testset-v1.json").write_text(json.dumps(pandalm(rng)), encoding="utf-8")
    return Working(tmp_path, capsys)


def alpaca_eval(rng: np.random.Generator) -> list[dict[str, Any]]:
    """805 preferences: a preference from 1 to 2, 1.5 a draw, and some that the judge gave none of."""
    preferences = np.clip(rng.normal(1.6, 0.4, 805), 1, 2).round(3)
    preferences[:30] = 1.5
    return [
        {
            "instruction": f"Question {i}",
            "output_1": "short" * int(rng.integers(1, 9)),
            "generator_1": "text_davinci_003",
            "output_2": 'a longer, quoted "answer",\n' * int(rng.integers(1, 9)),
            "generator_2": "tuned",
            "annotator": "weighted_gpt4",
            "preference": None if i >= 800 else float(preference),
        }
        for i, preference in enumerate(preferences)
    ]


def pandalm(rng: np.random.Generator) -> list[dict[str, Any]]:
    """999 items on five models, three people who mostly say the same."""
    models = ["llama-7b", "bloom-7b", "cerebras-gpt-6.7B", "opt-7b", "pythia-6.9b"]
    rows = []
    for i in range(999):
        left, right = rng.choice(models, 2, replace=False)
        truth = int(rng.choice([0, 1, 2], p=[0.1, 0.4, 0.5]))
        votes = {
            f"annotator{n}": truth if rng.random() < 0.85 else int(rng.integers(0, 3)) for n in (1, 2, 3)
        }
        texts = {"instruction": f"Do {i}.", "input": float("nan"), "response1": "one", "response2": "two"}
        rows.append({"idx": i, "cmp_key": f"{left}_{right}", **texts, **votes})
    return rows


def test_the_win_rate_is_the_published_one(working: Working) -> None:
    """AlpacaEval: the mean of preference - 1, its standard error, wins and draws; null counts for neither."""
    published = pd.read_json("annotations.json").preference.dropna()
    found = read_preference_files([Path("annotations.json")])

    [result] = analyse(found.preferences, AnalysisPlan(resamples=200)).win_rates

    assert result.win_rate is not None
    assert pytest.approx((published - 1).mean(), abs=1e-12) == result.win_rate.value
    assert pytest.approx(published.sem(), abs=1e-12) == result.standard_error
    assert (800, {"unreadable: no preference": 5}) == (result.n, result.unreadable)
    bounds = [(published - 1).sum() / 805, ((published - 1).sum() + 5) / 805]
    assert pytest.approx(bounds) == list(result.bounds or ())
    assert ((published > 1.5).sum(), (published == 1.5).sum(), (published < 1.5).sum()) == (
        result.win_rate.won,
        result.win_rate.tied,
        result.win_rate.lost,
    )
    assert ("text_davinci_003", "tuned", "judge") == (result.baseline, result.candidate, result.kind)


def test_annotators_agree_as_others_compute_it(working: Working) -> None:
    """PandaLM: kappas of the three columns of 0, 1 and 2, over all pairs of models, are statsmodels'."""
    columns = pd.read_json("testset-v1.json")[["annotator1", "annotator2", "annotator3"]].to_numpy()
    votes = read_preference_files([Path("testset-v1.json")])

    found = analyse(votes.preferences, AnalysisPlan(resamples=50))

    [everybody] = [each for each in found.groups if each.models is None]
    assert pytest.approx(fleiss_kappa(aggregate_raters(columns)[0])) == everybody.fleiss.value
    kappas = {(each.first, each.second): each.kappa for each in found.agreements if each.models is None}
    table = pd.crosstab(columns[:, 0], columns[:, 1]).to_numpy()
    assert pytest.approx(statsmodels_kappa(table).kappa) == kappas["annotator1", "annotator2"].value
    assert 999 == kappas["annotator1", "annotator2"].items
    assert (HUMANS, HUMANS) in kappas


def test_a_judge_joins_the_people(working: Working) -> None:
    """PandaLM: a judge's results, given before or after, stand beside three people's, on the same items."""
    verdicts = ["1", 2, "Tie", "tie", 0, "garbage"]
    rows = [{"idx": item, "gpt_result": verdicts[item % 6], "gpt_reason": "…"} for item in range(999)]
    judge = Path("gpt-3.5-turbo-testset-v1.json")
    judge.write_text(json.dumps(rows), encoding="utf-8")

    votes = read_preference_files([judge, Path("testset-v1.json")])

    judged = {each.item: each.winner for each in votes.preferences if each.rater == "gpt-3.5-turbo"}
    assert 999 * 4 == len(votes.preferences)
    assert ["left", "right", "tie", "tie", "tie", None] == [judged[str(item)] for item in range(6)]
    assert ["gpt-3.5-turbo-testset-v1.json", "testset-v1.json"] == [
        each.partition(":")[0] for each in votes.read
    ]


def test_the_command_needs_no_project(working: Working) -> None:
    """A file alone is enough: nothing is made in the folder, and JSON holds what the tables say."""
    before = sorted(working.folder.iterdir())

    code, shown, _ = working.run("preferences", "--from", "annotations.json")
    json_code, document, _ = working.run("preferences", "--from", "annotations.json", "--json")

    said = " ".join(shown.split())
    assert (0, 0) == (code, json_code)
    read = (
        "annotations.json: AlpacaEval's annotations, 805 rows by 1 judge (weighted_gpt4); "
        "baseline: text_davinci_003"
    )
    assert said.startswith(f"{read} tuned vs text_davinci_003 by weighted_gpt4: BETTER: win rate")
    assert "5 without a usable answer, with which it could be 0." in said
    found = json.loads(document)
    [result] = found["win_rates"]
    assert ("BETTER", 800, [read]) == (result["decision"], result["n"], found["read"])
    assert before == sorted(working.folder.iterdir())


def test_a_model_against_itself_is_one_half(working: Working) -> None:
    """AlpacaEval's own file of its reference, which names one `generator` and says 0: 0.5, and no error."""
    rows = alpaca_eval(np.random.default_rng(1))
    for row in rows:
        name = row.pop("generator_1")
        del row["generator_2"]
        row |= {"generator": name, "output_2": row["output_1"], "preference": 0}
    Path("self.json").write_text(json.dumps(rows), encoding="utf-8")

    _, shown, _ = working.run("preferences", "--from", "self.json")

    said = " ".join(shown.split())
    assert "NO DIFFERENCE SHOWN: win rate 0.500 [0.500, 0.500] (won 0, tied 805, lost 0), p = 1" in said
    assert "805 preferences between text_davinci_003 and itself: one half by definition" in said


def test_models_that_are_named(working: Working) -> None:
    """The first is the baseline; one that the file does not name is a mistake that lists those it does."""
    _, shown, _ = working.run("preferences", "tuned", "text_davinci_003", "--from", "annotations.json")
    assert "text_davinci_003 vs tuned by weighted_gpt4: WORSE" in " ".join(shown.split())

    said = working.complaint(2, "preferences", "tuned", "gpt4", "--from", "annotations.json")
    assert "there is no model in annotations.json named 'gpt4'" in said
    both = ("--from", "annotations.json", "--from", "testset-v1.json")
    assert "these files hold no preference between tuned and opt-7b" in working.complaint(
        2, "preferences", "tuned", "opt-7b", *both
    )

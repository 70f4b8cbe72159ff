"""Published annotations through the README's own lines, and what `harness preferences` then says of them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from statsmodels.stats.inter_rater import cohens_kappa as statsmodels_kappa

from harness.preferences.analysis import analyse
from harness.preferences.files import read_preferences
from harness.preferences.results import HUMANS
from harness.stats.plan import AnalysisPlan
from tests.working import Working

README = Path(__file__).parent.parent / "README.md"
[RECIPE] = re.findall(r"```python\n(import pandas.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
[JUDGE] = re.findall(r"```python\n(gpt = .*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """A folder with two made-up files in the published shapes, and the README's lines run in it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(7)
    Path("annotations.json").write_text(json.dumps(alpaca_eval(rng)), encoding="utf-8")
    Path("testset-v1.json").write_text(json.dumps(pandalm(rng)), encoding="utf-8")
    exec(RECIPE, {})
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
        texts = {"instruction": "Do it.", "input": "", "response1": "one", "response2": "two"}
        rows.append({"idx": i, "cmp_key": f"{left}_{right}", **texts, **votes})
    return rows


def test_the_win_rate_is_the_published_one(working: Working) -> None:
    """AlpacaEval: the mean of preference - 1, its standard error, wins and draws; null counts for neither."""
    published = pd.read_json("annotations.json").preference.dropna()

    [result] = analyse(read_preferences(Path("alpaca_eval.csv")), AnalysisPlan(resamples=200)).win_rates

    assert result.win_rate is not None
    assert pytest.approx((published - 1).mean(), abs=1e-12) == result.win_rate.value
    assert pytest.approx(published.sem(), abs=1e-12) == result.standard_error
    assert (800, {"no reason given": 5}) == (result.n, result.unreadable)
    assert ((published > 1.5).sum(), (published == 1.5).sum(), (published < 1.5).sum()) == (
        result.win_rate.won,
        result.win_rate.tied,
        result.win_rate.lost,
    )
    assert ("text_davinci_003", "tuned", "judge") == (result.baseline, result.candidate, result.kind)


def test_annotators_agree_as_others_compute_it(working: Working) -> None:
    """PandaLM: kappas of the three columns of 0, 1 and 2, over all pairs of models, are statsmodels'."""
    columns = pd.read_json("testset-v1.json")[["annotator1", "annotator2", "annotator3"]].to_numpy()

    found = analyse(read_preferences(Path("pandalm.csv")), AnalysisPlan(resamples=50))

    [everybody] = [each for each in found.groups if each.models is None]
    assert pytest.approx(fleiss_kappa(aggregate_raters(columns)[0])) == everybody.fleiss.value
    kappas = {(each.first, each.second): each.kappa for each in found.agreements if each.models is None}
    table = pd.crosstab(columns[:, 0], columns[:, 1]).to_numpy()
    assert pytest.approx(statsmodels_kappa(table).kappa) == kappas["annotator1", "annotator2"].value
    assert 999 == kappas["annotator1", "annotator2"].items
    assert (HUMANS, HUMANS) in kappas


def test_a_judge_joins_the_people(working: Working) -> None:
    """PandaLM: the README's further lines put a judge's verdicts beside three people's, on the same items."""
    verdicts = ["1", 2, "Tie", "tie"]
    rows = [{"idx": item, "gpt_result": verdicts[item % 4]} for item in range(999)]
    Path("gpt-3.5-turbo-testset-v1.json").write_text(json.dumps(rows), encoding="utf-8")

    exec(RECIPE + JUDGE, {})

    votes = read_preferences(Path("pandalm.csv"))
    judged = {each.item: each.winner for each in votes if each.rater == "gpt-3.5-turbo"}
    assert 999 * 4 == len(votes)
    assert ["left", "right", "tie", "tie"] == [judged[str(item)] for item in range(4)]


def test_the_command_needs_no_project(working: Working) -> None:
    """A file alone is enough: nothing is made in the folder, and JSON holds what the tables say."""
    before = sorted(working.folder.iterdir())

    code, shown, _ = working.run("preferences", "--from", "alpaca_eval.csv")
    json_code, document, _ = working.run("preferences", "--from", "alpaca_eval.csv", "--json")

    assert (0, 0) == (code, json_code)
    assert "tuned vs text_davinci_003 by weighted_gpt4: BETTER: win rate" in " ".join(shown.split())
    [result] = json.loads(document)["win_rates"]
    assert ("BETTER", 800) == (result["decision"], result["n"])
    assert before == sorted(working.folder.iterdir())

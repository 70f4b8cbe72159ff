"""`[gate]` in harness.toml: what it may say, and its mistakes with their keys."""

import re
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.registry import AgreementRule, LossRule, MetricRule, Registry, load
from harness.verbs.gate_policy import EXAMPLE
from suites.catalogue import OWN, suite_settings
from trainers.stage_settings import STAGE_SETTINGS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def read(folder: Path, section: str) -> Registry:
    """A file with this section alone."""
    file = folder / "harness.toml"
    file.write_text(section, encoding="utf-8")
    return load(file, STAGE_SETTINGS, suite_settings(), own_suite=OWN)


def test_a_policy(tmp_path: Path) -> None:
    """Every rule, with its place in the file; names of other tools' tasks need no suite here."""
    gate = read(
        tmp_path,
        """
        [gate]
        candidate = "a"
        baseline = "b"
        better = [{ suite = "ifeval" }, { suite = "inspect:gsm8k", metric = "accuracy" }]
        not_worse = [{ suite = "truthfulqa", metric = "mc1", margin = 0.02, proof = false }]
        unscored = 0
        agreement = { kappa = 0.4, judge = "gpt" }
        """,
    ).gate
    assert ("a", "b", 0) == (gate.candidate, gate.baseline, gate.unscored)
    assert gate.metric_rules == (
        MetricRule(key="gate.better[0]", suite="ifeval"),
        MetricRule(key="gate.better[1]", suite="inspect:gsm8k", metric="accuracy"),
        LossRule(key="gate.not_worse[0]", suite="truthfulqa", metric="mc1", margin=0.02, proof=False),
    )
    assert gate.agreement == AgreementRule(
        key="gate.agreement", coefficient="kappa", at_least=0.4, judge="gpt"
    )


@pytest.mark.parametrize("section", [EXAMPLE, *re.findall(r"```toml\n(\[gate\].*?)```", README, re.DOTALL)])
def test_what_is_shown_is_right(tmp_path: Path, section: str) -> None:
    """The README's policy, and the one that a command without a policy proposes."""
    assert not read(tmp_path, section).gate.is_empty


@pytest.mark.parametrize("section", ["", "[gate]", '[gate]\nbaseline = "b"'])
def test_no_rule_is_no_mistake_of_the_file(tmp_path: Path, section: str) -> None:
    """Other commands read the file, too: only a gate needs rules."""
    assert read(tmp_path, section).gate.is_empty


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("beter = []", "gate.beter: unknown key; did you mean 'better'?"),
        ('better = "ifeval"', 'gate.better: expected a list, got "ifeval"'),
        ('better = ["ifeval"]', 'gate.better[0]: expected a table, got "ifeval"'),
        ('better = [{ metric = "x" }]', "gate.better[0].suite: this key is needed"),
        (
            'better = [{ suite = "ifevl" }]',
            "gate.better[0].suite: there is no suite named 'ifevl'; did you mean 'ifeval'?",
        ),
        (
            'better = [{ suite = "ifeval", margin = 0.1 }]',
            "gate.better[0].margin: unknown key; known: metric, suite",
        ),
        (
            'better = [{ suite = "ifeval" }, { suite = "ifeval" }]',
            "gate.better[1]: gate.better[0] is about the same",
        ),
        ("margin = 0.1", "gate.margin: belongs to a rule, which says of what: not_worse = [{ suite ="),
        (
            'not_worse = [{ suite = "ifeval", margin = 0 }]',
            "gate.not_worse[0].margin: expected more than 0, got 0",
        ),
        (
            'not_worse = [{ suite = "ifeval", prof = true }]',
            "gate.not_worse[0].prof: unknown key; did you mean 'proof'?",
        ),
        ("unscored = 2", "gate.unscored: expected less than 1, got 2"),
        ('unscored = "1%"', 'gate.unscored: expected a number, got "1%"'),
        ("agreement = 0.6", "gate.agreement: expected a table, got 0.6"),
        ("agreement = {}", "gate.agreement: needs either `share`"),
        ("agreement = { share = 0.6, kappa = 0.4 }", "gate.agreement: needs either `share`"),
        ("agreement = { kapa = 0.4 }", "gate.agreement.kapa: unknown key; did you mean 'kappa'?"),
        ("agreement = { share = 60 }", "gate.agreement.share: expected 1 or less, got 60"),
    ],
)
def test_mistakes(tmp_path: Path, rules: str, message: str) -> None:
    """Each names its key and what is right."""
    with pytest.raises(ConfigError) as mistake:
        read(tmp_path, f"[gate]\n{rules}")
    assert f"harness.toml: {message}" in str(mistake.value)

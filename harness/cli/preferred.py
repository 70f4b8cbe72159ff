"""How preferences look in a terminal. It does not know how any number was made."""

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from harness.cli.terminal import console
from harness.preferences import Analysis, Finding, RaterAgreement


def print_preferences(analysis: Analysis) -> None:
    """Who is preferred by whom, in a table and in sentences, and how far raters agree."""
    console.print(_findings(analysis))
    for finding in analysis.findings:
        console.print(Text(finding.sentence()))
    if analysis.agreements:
        console.print(_agreements(analysis))


def _findings(analysis: Analysis) -> Table:
    table = Table(title="preferences", title_justify="left")
    for title in ("models", "rater"):
        table.add_column(title)
    for title in ("win rate", "won / tied / lost", "identical", "unreadable"):
        table.add_column(title, justify="right")
    for each in analysis.findings:
        table.add_row(
            escape(f"{each.candidate} vs {each.baseline}"),
            escape(each.rater),
            _rate(each),
            _counts(each),
            str(each.identical),
            str(sum(each.unreadable.values())),
        )
    return table


def _counts(finding: Finding) -> str:
    rate = finding.win_rate
    return "–" if rate is None else f"{rate.won} / {rate.tied} / {rate.lost}"


def _rate(finding: Finding) -> Text:
    rate = finding.win_rate
    if rate is None:
        return Text("–")
    around = f"\n[{rate.interval.low:.3f}, {rate.interval.high:.3f}]"
    return Text.assemble(f"{rate.value:.3f}", (around, "dim"))


def _agreements(analysis: Analysis) -> Table:
    table = Table(title="agreement", title_justify="left")
    for title in ("models", "raters"):
        table.add_column(title)
    for title in ("items", "agree", "Cohen's kappa"):
        table.add_column(title, justify="right")
    for each in analysis.agreements:
        table.add_row(
            escape(f"{each.models[1]} vs {each.models[0]}") if each.models else "all pairs",
            escape(f"{each.first}, {each.second}"),
            str(each.kappa.items),
            *(_coefficient(each, name) for name in ("raw", "kappa")),
        )
    return table


def _coefficient(agreement: RaterAgreement, name: str) -> str:
    found = getattr(agreement, name)
    return "–" if found.value is None else f"{found.value:.3f}"

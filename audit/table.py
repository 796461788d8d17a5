"""The audit's report as a table for people."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from audit.findings import Finding, Findings, Report
from ledger.amounts import readable

STYLES = {"ok": "green", "broken": "bold red", "in_flight": "yellow", "unchecked": "magenta"}
LINES_EACH = 10


def show(report: Report, *, console: Console) -> None:
    """Print one line for each invariant, then what is broken, unchecked or in flight."""
    table = Table(title=f"Audit at {report.at:%Y-%m-%d %H:%M:%S} UTC, {report.seconds:.1f} s")
    for heading in ("", "invariant", "state"):
        table.add_column(heading)
    for heading in ("checked", "broken", "in flight"):
        table.add_column(heading, justify="right")
    for result in report.results:
        table.add_row(
            str(result.number),
            result.name,
            f"[{STYLES[result.state]}]{result.state.replace('_', ' ')}[/]",
            f"{result.checked:,}",
            f"{result.broken.total:,}" if result.broken.total else "",
            f"{result.in_flight.total:,}" if result.in_flight.total else "",
        )
    console.print(table)
    for result in report.results:
        if result.unchecked:
            console.print(f"[{STYLES['unchecked']}]{result.number} unchecked[/] {escape(result.unchecked)}")
        for note in result.notes:
            console.print(f"{result.number} note {escape(note)}", soft_wrap=True)
        _print_findings(f"[{STYLES['broken']}]{result.number} broken[/]", result.broken, console)
    for result in report.results:
        _print_findings(f"[{STYLES['in_flight']}]{result.number} in flight[/]", result.in_flight, console)


def _print_findings(label: str, findings: Findings, console: Console) -> None:
    for finding in findings.listed[:LINES_EACH]:
        console.print(f"{label} {_line(finding)}", soft_wrap=True)
    if findings.total > LINES_EACH:
        console.print(f"{label} and {findings.total - LINES_EACH:,} more")


def _line(finding: Finding) -> str:
    age = f" [dim]{finding.age_s:.1f} s[/]" if finding.age_s is not None else ""
    return f"{escape(finding.where)}: {finding.what} ({escape(readable(finding.detail))}){age}"

"""The figures for the terminal: red where one misses its aim, and what makes the run fail at the end."""

from typing import Any

from rich.console import Console
from rich.table import Table

from tools.bench import tables
from tools.bench.aims import Aim, aims
from tools.bench.budget import in_words


def show(report: dict[str, Any], *, console: Console) -> None:
    """Print what the report holds."""
    console.print(tables.origin(report), soft_wrap=True, markup=False)
    for each in tables.tables(report):
        console.print(_rich(each))
    if (refused := tables.refusals(report)) is not None:
        console.print(_rich(refused))
    elif report["loads"]:
        console.print(f"every order of {len(report['loads'])} measurements was accepted")
    if found := aims(report):
        console.print(_aims(found))
    for name in ("batch", "single"):
        if report.get(name, {}).get("client_ran_dry"):
            console.print(
                f"{name}: the load ran out of orders, so this is its limit, not the server's", style="red"
            )
    console.print(_time(report))
    audits = report["audits"]
    console.print(f"{len(audits)} audits, {sum(audit['broken'] for audit in audits)} broken")
    for trouble in report["trouble"]:
        console.print(trouble, style="bold red", markup=False)


def _rich(table: tables.Table) -> Table:
    shown = Table(title=table.title, title_justify="left", caption=table.note or None)
    for number, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if number else "left")
    for row in table.rows:
        shown.add_row(*row)
    return shown


def _aims(found: list[Aim]) -> Table:
    shown = _rich(tables.Table(title="Aims", headings=("", "wanted", "measured"), rows=[]))
    for aim in found:
        shown.add_row(aim.what, aim.wanted, f"[{'green' if aim.is_met else 'bold red'}]{aim.measured}[/]")
    return shown


def _time(report: dict[str, Any]) -> str:
    planned, took = report["planned_seconds"], report.get("took_seconds", {})
    parts = [f"{name} {took.get(name, 0.0):.0f} ({seconds:.0f})" for name, seconds in planned.items()]
    waited = [f"{name} {seconds:.0f}" for name, seconds in report.get("waited_seconds", {}).items()]
    return (
        f"it took {in_words(report['seconds'])}, {in_words(sum(planned.values()))} were planned; "
        f"seconds of each, planned ones in brackets: {', '.join(parts)}; "
        f"between measurements: {', '.join(waited) or 'none'}"
    )

"""The live view: how far the orders have come, redrawn a few times a second."""

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tools.demo.figures import Pipeline
from tools.demo.sent import Sent

STEPS = (
    ("accepted", "counter: priced, debited, position opened"),
    ("synced", "acceptance: stored once, acknowledged"),
    ("settled", "settlement: netted, converted at the venue, booked"),
    ("reported", "counter: knows how it was settled"),
)


def view(
    *, orders: int, sent: Sent, pipeline: Pipeline, elapsed_seconds: float, problem: str = ""
) -> RenderableType:
    """One frame."""
    table = Table.grid(padding=(0, 2))
    table.add_row(
        "submitted", ProgressBar(total=orders, completed=sent.submitted, width=40), f"{sent.submitted:,}", ""
    )
    for name, meaning in STEPS:
        count = getattr(pipeline, name)
        table.add_row(
            name, ProgressBar(total=orders, completed=count, width=40), f"{count:,}", Text(meaning, "dim")
        )
    refused = sent.refused.total() - sent.refused_as_planned
    note = (
        f"{elapsed_seconds:5.1f} s   refused as planned {sent.refused_as_planned:,}   "
        f"refused otherwise {refused:,}   sent again {sent.repeated:,}"
    )
    return Group(table, Text(note, "dim"), Text(problem, "yellow"))

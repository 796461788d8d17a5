"""What a timeline is made of: events with their facts, ready to be shown and compared. Pure data."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from django.urls import reverse

System = Literal["counter", "desk", "venue", "people"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened `at` a moment by the clock of the system it happened in.

    `kind` is a stable word, `facts` are named figures, `link` leads to the row, `raw` are texts as they came or went.
    """

    at: datetime
    system: System
    kind: str
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    link: str = ""
    raw: tuple[tuple[str, str], ...] = ()


def facts(**named: Any) -> tuple[tuple[str, str], ...]:
    """Figures by name, `_` for a space; what is None or blank is left out."""
    return tuple(
        (name.replace("_", " "), text(value))
        for name, value in named.items()
        if value is not None and value != ""
    )


def text(value: Any) -> str:
    """A value as people read it: amounts in full and grouped, times to the millisecond."""
    if isinstance(value, Decimal):
        return f"{value:,f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"[:-3]
    return str(value)


def row_link(model: str, row_id: Any) -> str:
    """The address of a row in the admin; `model` is `app_model`."""
    return reverse(f"admin:{model}_change", args=[row_id])

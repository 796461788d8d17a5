"""Ids that are followed from process to process: bound to what runs, sent along with messages and tasks, in every line.

A line names its orders as runs of ids (`17 20-42`), because one for each order would be ten thousand a second.
`manage.py follow` reads them back.
"""

import re
import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import groupby
from typing import Any

import structlog
from django.db import transaction
from structlog.contextvars import get_contextvars

log = structlog.get_logger(__name__)

# What lines, tasks and messages are followed by; each is an id or runs of them, never an amount or a name.
IDS = ("order_id", "orders", "batch", "conversion", "funds_transfer", "intervention")
HEADER = "trail"  # of a message: the ids bound where it was sent
_RUN = re.compile(r"(\d+)(?:-(\d+))?")


def new_batch() -> str:
    """An id for what is sent as one message."""
    return secrets.token_hex(6)


def runs(ids: Iterable[int]) -> str:
    """Ids as text: runs of consecutive ones by their ends, in order, each once."""
    parts = []
    for _, run in groupby(enumerate(sorted(set(ids))), key=lambda place: place[1] - place[0]):
        members = [order_id for _, order_id in run]
        parts.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return " ".join(parts)


def covers(written: str, order_id: int) -> bool:
    """Whether runs of ids, as `runs` writes them, name this one."""
    return any(int(first) <= order_id <= int(last or first) for first, last in _RUN.findall(written))


def named(written: str) -> list[int]:
    """The ids that such a text names."""
    return [
        order_id
        for first, last in _RUN.findall(written)
        for order_id in range(int(first), int(last or first) + 1)
    ]


def bound() -> dict[str, Any]:
    """The ids bound here, to be sent along."""
    return ids_of(get_contextvars())


def ids_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a line's fields that are ids."""
    return {name: fields[name] for name in IDS if name in fields}


def tell(event: str, *, using: str, **fields: Any) -> None:
    """A line once the caller's transaction in this database is committed: what was undone is not told."""
    transaction.on_commit(partial(log.info, event, **fields), using=using, robust=True)


def follow(lines: Iterable[Mapping[str, Any]], order_id: int) -> list[Mapping[str, Any]]:
    """The lines that are about one order, in order of time: those that name it, and those about its batch or its
    conversions that name no orders."""
    lines = list(lines)
    about = [line for line in lines if _names(line, order_id)]
    batches = {batch for line in about for batch in str(line.get("batch", "")).split()}
    # A report is of many conversions: which of them was the order's is told by the lines before.
    conversions = {str(line["conversion"]) for line in about if str(line.get("conversion", "")).isdigit()}
    for line in lines:
        if "orders" in line or "order_id" in line:
            continue
        if "conversion" in line:
            if str(line["conversion"]) in conversions:
                about.append(line)
        elif batches & set(str(line.get("batch", "")).split()):
            about.append(line)
    return sorted(about, key=lambda line: str(line.get("timestamp", "")))


def _names(line: Mapping[str, Any], order_id: int) -> bool:
    return covers(str(line.get("orders", "")), order_id) or str(line.get("order_id", "")) == str(order_id)

"""Ids that are followed from process to process: bound to what runs, sent along with messages and tasks, in every line.

A line names many things of one kind as runs of ids (`17 20-42`), because one for each would be ten thousand a second.
"""

import re
import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import groupby
from typing import Any

import structlog
from django.conf import settings
from structlog.contextvars import get_contextvars

from infra.db.after_commit import after_commit

log = structlog.get_logger(__name__)

HEADER = "trail"  # of a message: the ids bound where it was sent
_RUN = re.compile(r"(\d+)(?:-(\d+))?")


def new_batch() -> str:
    """An id for what is sent as one message."""
    return secrets.token_hex(6)


def runs(ids: Iterable[int]) -> str:
    """Ids as text: runs of consecutive ones by their ends, in order, each once."""
    parts = []
    for _, run in groupby(enumerate(sorted(set(ids))), key=lambda place: place[1] - place[0]):
        members = [each for _, each in run]
        parts.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return " ".join(parts)


def covers(written: str, wanted: int) -> bool:
    """Whether runs of ids, as `runs` writes them, name this one."""
    return any(int(first) <= wanted <= int(last or first) for first, last in _RUN.findall(written))


def named(written: str) -> list[int]:
    """The ids that such a text names."""
    return [
        each for first, last in _RUN.findall(written) for each in range(int(first), int(last or first) + 1)
    ]


def bound() -> dict[str, Any]:
    """The ids bound here, to be sent along."""
    return ids_of(get_contextvars())


def ids_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a line's fields that are ids (CORRELATION_IDS)."""
    return {name: fields[name] for name in settings.CORRELATION_IDS if name in fields}


def singled(ids: Mapping[str, Any]) -> dict[str, Any]:
    """The same, but runs that are one id bear the name of one (CORRELATION_SINGULAR)."""
    return {
        settings.CORRELATION_SINGULAR.get(name, name) if str(value).isdigit() else name: value
        for name, value in ids.items()
    }


def tell(event: str, *, using: str, **fields: Any) -> None:
    """A line once the caller's transaction in this database is committed: what was undone is not told."""
    after_commit(partial(log.info, event, **fields), using=using)

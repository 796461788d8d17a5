"""One statement of several: what belongs to one step is sent, planned and answered once, and is whole or absent.

Invariant: the parts see the rows as they were before the statement, so none of them reads what another one changes but
by what that one returns, and no row is changed by two.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from infra.db.pipeline import Statement
from infra.db.rows import insertion, reader

Part = Sequence[Statement]  # one statement, or none


def inserting(rows: Sequence[models.Model], *, if_any: str = "", returning: str = "") -> list[Statement]:
    """`infra.db.rows.insert` as a part; none without rows.

    Nothing is inserted unless the part that `if_any` names has a row. `returning` names a column to answer.
    """
    if not rows:
        return []
    sql, parameters = insertion(rows)
    if if_any:
        sql += f" WHERE EXISTS (SELECT FROM {if_any})"
    if returning:
        sql += f" RETURNING {returning}"
    return [Statement(sql, parameters)]


def together(parts: Mapping[str, Part], answer: str) -> Statement:
    """One statement of all parts, in which each has a name; `answer` is its last part, which may read the others."""
    named = [(name, statement) for name, part in parts.items() for statement in part]
    texts = ", ".join(f"{name} AS ({statement.sql})" for name, statement in named)
    return Statement(f"WITH {texts} {answer}", [value for _, part in named for value in part.parameters])


def answered(using: str, statement: Statement) -> list[tuple[Any, ...]]:
    """The rows of one statement, run on this thread's connection."""
    with reader(using) as cursor:
        cursor.execute(statement.sql, statement.parameters)
        return cursor.fetchall()

"""The history of accepted orders: the statement that moves orders logs each of them, in the same breath.

Guards the log against gaps: a step's number is the version that the move gave its order, so a step that is missing, or
there twice, shows. What moves orders without logging it is logged by the database, and marked so (migration 0005).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import models

from acceptance.models import AcceptedOrder
from infra.db.composing import answered, together
from infra.db.pipeline import Statement
from infra.db.transitions import keys_of, moving, moving_selected, sources_and_target

# What the part that moves orders has to return of each, for its steps.
LOGGED = ("id", "version", "conversion_id")
STEPS = """
    INSERT INTO acceptance_orderstep (order_id, number, from_state, to_state, conversion_id, at)
    SELECT id, version, %s, %s, COALESCE(conversion_id, %s::bigint), %s FROM {moved}
"""


def logging_steps(
    transition: Any, moved: str, *, at: datetime, source: str = "", released_from: int | None = None
) -> list[Statement]:
    """The part of a statement that logs what the part called `moved` moves through `transition`, and answers as LOGGED.

    `source` is the state that they leave, needed where the transition has several; `released_from` the conversion that
    they have left with this step.

    Raises: ValueError for a transition of several sources without `source`.
    """
    _, sources, target = sources_and_target(AcceptedOrder, transition)
    if not source and len(sources) > 1:
        raise ValueError(f"{transition.__qualname__} leaves several states: say which")
    return [Statement(STEPS.format(moved=moved), [source or sources[0], target, released_from, at])]


def move_orders(
    orders: models.QuerySet[AcceptedOrder] | Sequence[int],
    transition: Any,
    *,
    at: datetime,
    same: dict[str, Any],
    source: str = "",
    released_from: int | None = None,
) -> list[int]:
    """Move orders, and log it, in one statement; the row ids of those that moved, in no particular order.

    They are given by their row ids, or by a query that selects (and may lock) them.

    Raises: as `infra.db.transitions.move` and `logging_steps`.
    """
    if isinstance(orders, models.QuerySet):
        moved = [moving_selected(AcceptedOrder, transition, keys_of(orders), same=same, returning=LOGGED)]
    else:
        moved = moving(AcceptedOrder, transition, orders, same=same, returning=LOGGED)
    if not moved:
        return []
    parts = {
        "moved": moved,
        "logged": logging_steps(transition, "moved", at=at, source=source, released_from=released_from),
    }
    return [row_id for (row_id,) in answered("desk", together(parts, "SELECT id FROM moved"))]

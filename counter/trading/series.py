"""Series that move: halted and resumed by people, expired and settled by the clock; each step is kept and says why."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet

from counter.models import Option, OptionChange
from infra.db.lifecycles import moves
from infra.db.rows import insert
from infra.db.transitions import sources_and_target
from infra.reasons import plain_reason

log = structlog.get_logger(__name__)


class ReasonMissing(ValueError):
    """Who halts or resumes a series has to say why."""


@moves(Option.halt)
def halt(options: QuerySet[Option], *, by: str, why: str, now: datetime) -> list[int]:
    """Let no new positions be opened in the options that are listed; the ids of those. Closing goes on.

    Raises: ReasonMissing.
    """
    return _by_hand(options, Option.halt, by, why, now)


@moves(Option.resume)
def resume(options: QuerySet[Option], *, by: str, why: str, now: datetime) -> list[int]:
    """Take opening orders again in the options that are halted; the ids of those.

    Raises: ReasonMissing.
    """
    return _by_hand(options, Option.resume, by, why, now)


def _by_hand(options: QuerySet[Option], transition: Any, by: str, why: str, now: datetime) -> list[int]:
    why = plain_reason(why)
    if not why:
        raise ReasonMissing("a reason is needed")
    living = options.filter(expires_at__gt=now)
    moved = move_options(living, transition, by=by, why=why, now=now)
    ids = [option.pk for option in moved]
    log.warning("series moved by hand", transition=transition.__name__, options=ids, by=by, why=why)
    return ids


def move_options(
    options: QuerySet[Option], transition: Any, *, by: str, why: str, now: datetime
) -> Sequence[Option]:
    """Move the options that are in a source state of `transition` and note each step; those that moved.

    Joins the caller's transaction, or makes one.
    """
    _, sources, _ = sources_and_target(Option, transition)
    with transaction.atomic():
        # Locked in the order of their ids: who moves some of them at the same time waits, and finds them moved.
        found = list(options.filter(state__in=sources).order_by("id").select_for_update())
        insert([_moved(option, transition, by, why, now) for option in found])
    return found


def _moved(option: Option, transition: Any, by: str, why: str, now: datetime) -> OptionChange:
    from_state = option.state
    transition(option)
    option.save(update_fields=["state"])
    return OptionChange(
        option_id=option.pk, from_state=from_state, to_state=option.state, why=why, at=now, by=by
    )

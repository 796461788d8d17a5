"""Letting a person take everything that is offered of a coin, however far the desk is behind, and pace it again.

For a desk that rests on purpose: what is accepted meanwhile waits until it is back, which nobody else may decide.
"""

from datetime import datetime

import structlog
from django.db import transaction

from counter.models import TradingStatus, TradingStatusChange
from infra.reasons import plain_reason

log = structlog.get_logger(__name__)


class PacingRefused(ValueError):
    """The coin cannot be paced or let go like this."""


def set_paced(*, underlying: str, paced: bool, reason: str, by: str, now: datetime) -> bool:
    """Pace a coin's orders by how fast the desk settles, or admit all; whether it was otherwise before.

    The feed obeys with its next measurement.

    Raises: PacingRefused for a coin that was never judged, or without a reason.
    """
    reason = plain_reason(reason)
    if not reason:
        raise PacingRefused("a reason is needed")
    with transaction.atomic():
        status = TradingStatus.objects.select_for_update().filter(underlying=underlying).first()
        if status is None:
            raise PacingRefused(f"{underlying} was not judged yet: is the feed running?")
        if status.is_paced == paced:
            return False
        TradingStatus.objects.filter(pk=status.pk).update(is_paced=paced)
        TradingStatusChange.objects.create(
            underlying=underlying,
            from_state=status.state,
            to_state=status.state,
            spread_rate=status.spread_rate,
            reasons=status.reasons,
            why=f"{'paced by the desk' if paced else 'everything is admitted'}: {reason}",
            at=now,
            by=by,
        )
    log.info("pacing was changed", coin=underlying, paced=paced, by=by, reason=reason)
    return True


def unpaced() -> list[str]:
    """The coins of which everything is admitted."""
    return sorted(TradingStatus.objects.filter(is_paced=False).values_list("underlying", flat=True))

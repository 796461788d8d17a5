"""Asking to resume trading: a person who may not resume it says so to those who may."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog
from django.contrib.auth import get_user_model
from django.db import transaction

from counter.models import ResumeRequest, TradingSwitch, TradingSwitchChange
from counter.models.switches import RESUME
from counter.trading.switches import State, SwitchRefused, locked, reason_of, standing_change
from infra.db.lifecycles import may

log = structlog.get_logger(__name__)


def may_ask(user: Any) -> bool:
    """Whether a user may ask: who may stop, and may not resume trading without asking."""
    switch = TradingSwitch()
    return may(user, switch, TradingSwitch.stop_opens) and not may(user, switch, TradingSwitch.resume)


def approvers(*, besides: str = "") -> list[str]:
    """The names of the active staff who may resume trading, but one person."""
    people = get_user_model().objects.with_perm(RESUME).filter(is_staff=True)
    return [
        name for name in people.order_by("username").values_list("username", flat=True) if name != besides
    ]


def ask_for_resuming(*, change_id: int, reason: str, by: str, now: datetime) -> bool:
    """Ask to resume trading after the throw that stands; whether this person had not asked yet.

    Raises: SwitchRefused without a reason, where nothing is stopped, or if that throw stands no more.
    """
    reason = reason_of(reason)
    change = TradingSwitchChange.objects.filter(pk=change_id).first()
    if change is None:
        raise SwitchRefused("there is no such stop")
    with transaction.atomic():
        switch = locked(change.underlying, now)
        if switch.state == State.RUNNING:
            raise SwitchRefused("nothing is stopped any more")
        if standing_change(change.underlying) != change:
            raise SwitchRefused(f"{switch.by} has thrown it meanwhile")
        _, is_new = ResumeRequest.objects.get_or_create(
            change=change, by=by, defaults={"reason": reason, "at": now}
        )
    if is_new:
        log.info("asked to resume trading", coin=change.underlying, by=by, reason=reason)
    return is_new


def waiting_requests(underlyings: Iterable[str]) -> dict[str, list[ResumeRequest]]:
    """What was asked after the throws that these switches, which stop something, stand at; the oldest first."""
    found: dict[str, list[ResumeRequest]] = {}
    changes = list(filter(None, map(standing_change, underlyings)))
    if not changes:
        return found
    asked = ResumeRequest.objects.filter(change__in=changes).select_related("change")
    for request in asked.order_by("pk"):
        found.setdefault(request.change.underlying, []).append(request)
    return found

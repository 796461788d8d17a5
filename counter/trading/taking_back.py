"""Taking a stop back: the person who threw a kill switch undoes that stop alone, soon, if nothing else happened.

Invariant: a switch comes back to what stood before the stop, and nothing that somebody else or a protection did since
is undone with it. Decided under the lock that everybody who throws a switch takes first, and under those that the feed
takes to judge coins.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from counter.models import TradingStatus, TradingStatusChange, TradingSwitch, TradingSwitchChange
from counter.models.switches import ALL_COINS
from counter.trading.switches import (
    MOVED,
    State,
    SwitchRefused,
    apply_stops,
    locked,
    reason_of,
    standing_change,
)
from infra.coordination.ages import age
from infra.db.lifecycles import may, moves

log = structlog.get_logger(__name__)

TRANSITIONS = {
    (State.OPENS_STOPPED, State.RUNNING): TradingSwitch.take_back,
    (State.ALL_STOPPED, State.RUNNING): TradingSwitch.take_back,
    (State.ALL_STOPPED, State.OPENS_STOPPED): TradingSwitch.take_back_closes,
}
WIDE, HALTED = TradingStatus.State.WIDE, TradingStatus.State.HALTED
TIGHTENED = (Q(to_state=HALTED) & ~Q(from_state=HALTED)) | (
    Q(to_state=WIDE) & ~Q(from_state__in=[WIDE, HALTED])
)


def may_take_back(user: Any) -> bool:
    """Whether a user may take back a stop of their own: who may stop."""
    return may(user, TradingSwitch(), TradingSwitch.take_back)


def taken_back_until(stop: TradingSwitchChange) -> datetime:
    """Until when a stop may be taken back."""
    return stop.at + timedelta(seconds=settings.STOP_TAKE_BACK_SECONDS)


def why_not(
    stop: TradingSwitchChange,
    *,
    by: str,
    now: datetime,
    aside: Collection[TradingSwitchChange] = (),
    is_said_to_them: bool = True,
) -> str:
    """Why this person cannot take the stop back alone, for people; empty if they can.

    `aside` are own throws that are left out of account, as if they had been taken back. Who is told is called "you"
    in it, unless somebody else is told.
    """
    if not stop.is_stop:
        return "it stopped nothing"
    if stop.by != by:
        return f"{stop.by} threw it, and nobody else takes it back alone"
    if age(stop.at, now=now) >= timedelta(seconds=settings.STOP_TAKE_BACK_SECONDS):
        return f"the time for it was over at {taken_back_until(stop):%H:%M:%S} UTC"
    return _happened_since(stop, aside, "you" if is_said_to_them else by)


def first_to_take_back(stop: TradingSwitchChange, *, by: str, now: datetime) -> TradingSwitchChange | None:
    """The own stop of other coins that a person can take back, after which they can take back this one too."""
    later = TradingSwitchChange.objects.filter(MOVED, pk__gt=stop.pk, by=by).filter(
        same_coins(stop.underlying)
    )
    own = list(later.exclude(underlying=stop.underlying).order_by("-pk"))
    can = own and not why_not(own[0], by=by, now=now) and not why_not(stop, by=by, now=now, aside=own)
    return own[0] if can else None


@moves(TradingSwitch.take_back)
@moves(TradingSwitch.take_back_closes)
def take_back(*, stop_id: int, reason: str, by: str, now: datetime) -> bool:
    """Bring a switch back to where it was before a stop of this person; whether it was not taken back already.

    The one that stood before keeps its person, its reason and its time.

    Raises: SwitchRefused without a reason, for what is no stop, or with the reason why they cannot do it alone.
    """
    reason = reason_of(reason)
    stop = TradingSwitchChange.objects.filter(pk=stop_id).first()
    if stop is None:
        raise SwitchRefused("there is no such stop")
    with transaction.atomic():
        switch = locked(stop.underlying, now)
        if TradingSwitchChange.objects.filter(takes_back=stop, by=by).exists():
            return False
        _wait_for_breakers()
        if refusal := why_not(stop, by=by, now=now):
            raise SwitchRefused(refusal)
        if switch.state != stop.to_state:
            raise SwitchRefused("the switch does not stand where the stop put it")
        was, to = State(stop.to_state), State(stop.from_state)
        before = standing_change(stop.underlying, before=stop.pk)
        TRANSITIONS[was, to](switch, reason=reason, by=by, at=now)
        if to is not State.RUNNING and before is not None:
            switch.reason, switch.by, switch.since = before.reason, before.by, before.at
        switch.save(update_fields=["state", "reason", "by", "since"])
        apply_stops(now)
        TradingSwitchChange.objects.create(
            underlying=stop.underlying,
            from_state=was,
            to_state=to,
            reason=reason,
            by=by,
            at=now,
            takes_back=stop,
        )
    log.warning("stop taken back", coin=stop.underlying, was=str(was), now=str(to), by=by, reason=reason)
    return True


def _wait_for_breakers() -> None:
    """Lock how all coins stand, in the order of the feed that judges them: what it is about to record is seen then."""
    rows = TradingStatus.objects.select_for_update().filter(underlying__in=settings.COINS)
    list(rows.order_by("underlying").values_list("pk"))


def same_coins(underlying: str) -> Q:
    """Throws of a switch that has a coin in common with the switch of a coin, or of ALL_COINS."""
    return Q() if underlying == ALL_COINS else Q(underlying__in=[underlying, ALL_COINS])


def _happened_since(stop: TradingSwitchChange, aside: Collection[TradingSwitchChange], name: str) -> str:
    """What a person or a protection did to a stop's coins since; own stops that were taken back again are nothing.

    `name` is what the person who stopped them is called.
    """
    of_all = stop.underlying == ALL_COINS
    later = TradingSwitchChange.objects.filter(same_coins(stop.underlying), pk__gt=stop.pk)
    others, own = later.exclude(by=stop.by), later.filter(MOVED).exclude(pk__in=[each.pk for each in aside])
    if thrown := others.first():
        return f"{thrown.by} {thrown.deed} after it, at {thrown.at:%H:%M:%S} UTC"
    if thrown := own.first():
        done = f"{name} {thrown.deed} after it, at {thrown.at:%H:%M:%S} UTC"
        return f"{done}, so not until the switch of {thrown.coins} is taken back" if thrown.is_stop else done
    coins = list(settings.COINS) if of_all else [stop.underlying]
    tightened = TradingStatusChange.objects.filter(TIGHTENED, underlying__in=coins, at__gte=stop.at)
    if change := tightened.order_by("pk").first():
        state = change.to_state.lower()
        return f"{change.underlying}'s circuit breaker made it {state} after it, at {change.at:%H:%M:%S} UTC"
    return ""

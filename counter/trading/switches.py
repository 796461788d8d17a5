"""Throwing a kill switch: a person stops a coin, or all coins, with a reason, and resumes trading.

What the switches of a coin and of all coins come to stands on the coin's trading status, which every batch of orders
reads with its options: one that is decided after the commit obeys, in every process.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from counter.models import TradingStatus, TradingSwitch, TradingSwitchChange
from counter.models.switches import ALL_COINS
from infra.db.lifecycles import may, moves
from infra.db.rows import rows_of
from infra.reasons import plain_reason

log = structlog.get_logger(__name__)

State = TradingSwitch.State
SWITCHES = "SELECT underlying, state FROM counter_tradingswitch"
SEVERITY: dict[str, int] = {state: rank for rank, state in enumerate(State)}
# What a switch lets through, for people.
SAID = {
    State.RUNNING: "opens and closes go on",
    State.OPENS_STOPPED: "opens are stopped, closing goes on",
    State.ALL_STOPPED: "opens and closes are stopped",
}
TRANSITIONS = {
    (State.RUNNING, State.OPENS_STOPPED): TradingSwitch.stop_opens,
    (State.RUNNING, State.ALL_STOPPED): TradingSwitch.stop_all,
    (State.OPENS_STOPPED, State.ALL_STOPPED): TradingSwitch.stop_all,
    (State.ALL_STOPPED, State.OPENS_STOPPED): TradingSwitch.resume_closes,
    (State.OPENS_STOPPED, State.RUNNING): TradingSwitch.resume,
    (State.ALL_STOPPED, State.RUNNING): TradingSwitch.resume,
}
# Throws that moved their switch, and still count.
MOVED = Q(takes_back=None, taken_back_by__isnull=True) & ~Q(from_state=F("to_state"))


class SwitchRefused(ValueError):
    """The switch cannot be thrown like this."""


def may_throw(user: Any, switch: TradingSwitch, *, to: str) -> bool:
    """Whether a user may bring a switch to another state: one may stop what another one has to resume."""
    return may(user, switch, TRANSITIONS[State(switch.state), State(to)])


@moves(TradingSwitch.stop_opens)
@moves(TradingSwitch.stop_all)
@moves(TradingSwitch.resume_closes)
@moves(TradingSwitch.resume)
def throw(
    *,
    underlying: str,
    to: State,
    reason: str,
    by: str,
    now: datetime,
    seen: State | None = None,
    after: int | None = None,
) -> bool:
    """Bring the switch of a coin, or of ALL_COINS, to a state; whether it was in another one.

    A stop by a second person, of what is stopped already, is recorded: the first one cannot take it back alone then.

    `seen` is the state by which it was judged whether they may throw it. `after` is the id of the switch's newest throw
    that the person has seen (`newest_id`), 0 of who has seen none: nothing that was stopped later is let go on by them.

    Raises: SwitchRefused for a coin that there is not and was not, without a reason, or when it was thrown meanwhile.
    """
    reason = reason_of(reason)
    is_known = underlying in (*settings.COINS, ALL_COINS)
    # A coin that is traded no more may have been stopped, and its stop is ended like any other.
    if not is_known and not TradingSwitch.objects.filter(underlying=underlying).exists():
        raise SwitchRefused(f"there is no coin {underlying}")
    with transaction.atomic():
        switch = locked(underlying, now)
        was = State(switch.state)
        if was == to:
            _stop_too(switch, reason, by, now)
            return False
        if seen not in (None, was):
            raise SwitchRefused(f"{switch.by} has thrown it meanwhile")
        if SEVERITY[to] < SEVERITY[was] and after not in (None, newest_id(underlying)):
            raise SwitchRefused(f"it would undo a stop that you have not seen: {SAID[was]}")
        TRANSITIONS[was, to](switch, reason=reason, by=by, at=now)
        switch.save(update_fields=["state", "reason", "by", "since"])
        apply_stops(now)
        TradingSwitchChange.objects.create(
            underlying=underlying, from_state=was, to_state=to, reason=reason, by=by, at=now
        )
    log.warning("trading switch thrown", coin=underlying, was=str(was), now=str(to), by=by, reason=reason)
    return True


def _stop_too(switch: TradingSwitch, reason: str, by: str, now: datetime) -> None:
    """Record, once, that somebody else wants the switch to stand as it does."""
    if switch.state == State.RUNNING or switch.by == by:
        return
    said: dict[str, Any] = {
        "underlying": switch.underlying,
        "from_state": switch.state,
        "to_state": switch.state,
        "by": by,
    }
    stands = standing_change(switch.underlying)
    if not TradingSwitchChange.objects.filter(**said, pk__gt=stands.pk if stands else 0).exists():
        TradingSwitchChange.objects.create(**said, reason=reason, at=now)
        log.warning(
            "trading switch stopped by another person too", coin=switch.underlying, by=by, reason=reason
        )


def reason_of(text: str) -> str:
    """What is kept of a person's reason. Raises: SwitchRefused without one."""
    if reason := plain_reason(text):
        return reason
    raise SwitchRefused("a reason is needed")


def standing_change(underlying: str, *, before: int | None = None) -> TradingSwitchChange | None:
    """The throw that a switch's state comes from: the newest that moved it and was not taken back.

    `before` is the id of a throw before which it is wanted. None of a switch that was never thrown.
    """
    thrown = TradingSwitchChange.objects.filter(MOVED, underlying=underlying)
    if before is not None:
        thrown = thrown.filter(pk__lt=before)
    return thrown.order_by("-pk").first()


def newest_id(underlying: str) -> int:
    """The id of a switch's newest throw, of any kind; 0 of one that was never thrown."""
    newest = TradingSwitchChange.objects.filter(underlying=underlying).order_by("-pk")
    return newest.values_list("pk", flat=True).first() or 0


def stops_of(coins: Iterable[str]) -> dict[str, State]:
    """What the switches let through of each of these coins: the worse of its own and that of all."""
    wanted = list(coins)
    thrown = {name: State(state) for name, state in rows_of("default", SWITCHES)}
    return {
        coin: max((thrown.get(name, State.RUNNING) for name in (coin, ALL_COINS)), key=SEVERITY.__getitem__)
        for coin in wanted
    }


def apply_stops(now: datetime) -> None:
    """Put on each coin's status what its switches come to; a coin that was never judged gets one."""
    for underlying, stop in stops_of(sorted(settings.COINS)).items():
        new = {"spread_rate": settings.SPREAD_RATE, "since": now, "judged_at": now, "stop": stop}
        status, is_new = TradingStatus.objects.get_or_create(underlying=underlying, defaults=new)
        if not is_new and status.stop != stop:
            TradingStatus.objects.filter(pk=status.pk).update(stop=stop)


def make_missing(*, now: datetime) -> None:
    """Make the switches of coins that have none yet, so that they can be found and thrown."""
    made = [TradingSwitch(underlying=underlying, since=now) for underlying in (ALL_COINS, *settings.COINS)]
    TradingSwitch.objects.bulk_create(made, ignore_conflicts=True)


def stopped() -> dict[str, TradingSwitch]:
    """The switches that stop something, by coin or ALL_COINS."""
    return {switch.underlying: switch for switch in TradingSwitch.objects.exclude(state=State.RUNNING)}


def coins_stopped() -> set[str]:
    """The coins of which a person has stopped everything."""
    stops = {name for name, switch in stopped().items() if switch.state == State.ALL_STOPPED}
    return set(settings.COINS) if ALL_COINS in stops else stops


def locked(underlying: str, now: datetime) -> TradingSwitch:
    """The switch, locked after that of all coins, which everybody who throws one locks first."""
    make_missing(now=now)
    switches = TradingSwitch.objects.select_for_update().filter(underlying__in=[ALL_COINS, underlying])
    return {switch.underlying: switch for switch in switches.order_by("underlying")}[underlying]

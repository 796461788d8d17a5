"""What keeps customers from trading or being paid: expiries, orders that stay, the venue, stops, coins, the index."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.urls import reverse

from cockpit.alerts.alert import Alert, age_seconds, list_of, stage
from cockpit.snapshot import SystemSnapshot
from counter.circuit_breaker import Reason, State
from counter.models import TradingSwitch
from counter.trading.switches import SAID
from counter.trading.switches import State as SwitchState
from ledger.decimals import product
from settlement.venues.halts import OTHER_ACCOUNT, RESTORED

BOOK_NAMES = {Reason.BOOK_DELTA: "delta", Reason.BOOK_VEGA: "vega for a percentage point"}
REJECTED_OF_LATE = timedelta(minutes=5)


def expiries(figures: SystemSnapshot) -> Iterator[Alert]:
    """Options that expired without an index, or without being exercised."""
    found = figures.expiries
    if found.without_index:
        yield Alert(
            "index_missing",
            "Options have expired, and the record of their index has a gap",
            found.without_index,
            age_seconds(figures, found.oldest_without_index),
            "Open the expiry, read what is missing, and enter the index with evidence; a second person approves it.",
            list_of("counter_expiry", "?state__exact=WAITING"),
        )
    if found.late:
        yield Alert(
            "expiry_late",
            "Options have expired, and nobody exercises their positions",
            found.late,
            age_seconds(figures, found.oldest_late),
            "See whether beat leads and the workers work (below), and what the worker's log says of counter.expire.",
            list_of("counter_expiry"),
        )


def stuck(figures: SystemSnapshot) -> Iterator[Alert]:
    """Orders that stay in a state for longer than its limit."""
    limits = settings.AUDIT_AGE_LIMITS_SECONDS
    synced_limit, _ = settings.BREAKER_AFTER_SECONDS["unsettled"]
    waits = (
        ("counter_order", "PENDING", limits["sync_order"]["PENDING"], "intake and the broker"),
        (
            "counter_order",
            "SYNCED",
            synced_limit,
            "the desk: the stages after this one, the venue, the workers",
        ),
        ("desk_order", "RECEIVED", limits["accepted_order"]["RECEIVED"], "the venue and the workers"),
        ("desk_order", "SETTLED", limits["accepted_order"]["SETTLED"], "whether counter answers the desk"),
    )
    for kind, state, limit, look in waits:
        found = stage(figures, kind, state)
        if found and Decimal(found.oldest_seconds or 0) > limit:
            yield Alert(
                "orders_stuck",
                f"Orders stay {state} for longer than {limit} s",
                found.count,
                found.oldest_seconds,
                f"Look at {look}.",
                found.url,
            )


def venue(figures: SystemSnapshot) -> Iterator[Alert]:
    """The desk's database or the venue is away."""
    if figures.desk is None:
        yield Alert(
            "desk_database_down",
            "The desk's database does not answer",
            1,
            None,
            "Orders are still taken and wait. Bring the database back; everything resumes by itself.",
            "",
        )
    elif halt := figures.desk.halt:
        yield Alert(
            "venue_halted",
            f"{halt.venue} {halt.underlying}".strip() + f" is halted: {halt.reason}",
            1,
            age_seconds(figures, halt.since or halt.began_at),
            "Nothing is sent before manage.py after_restore has entered what the desk has forgotten."
            if halt.reason == RESTORED
            else "Start the desk with its books' account, or see what manage.py adopt_venue_account would book."
            if halt.reason.startswith(OTHER_ACCOUNT)
            else "A ban or an outage ends by itself. A refused key has to be put right. Do not lift a ban's halt.",
            list_of("settlement_venuehalt"),
        )


def stops(figures: SystemSnapshot) -> Iterator[Alert]:
    """Coins that a person has stopped."""
    for switch in figures.stops:
        asked = [
            f"{each.by} asks for it: {each.reason.rstrip('.')}."
            for each in figures.resume_requests.get(switch.underlying, [])
        ]
        yield Alert(
            "trading_stopped",
            f"{switch.by} has stopped {switch.coins} ({SAID[SwitchState(switch.state)]}): {switch.reason}",
            1,
            age_seconds(figures, switch.since),
            " ".join([_undo_stop(figures, switch), *asked]),
            reverse("admin:counter_tradingswitch_change", args=[switch.pk]),
        )


def _undo_stop(figures: SystemSnapshot, switch: TradingSwitch) -> str:
    """Who ends a stop, and how: the person who threw it only for a while."""
    until = switch.since + timedelta(seconds=settings.STOP_TAKE_BACK_SECONDS)
    if figures.at >= until:
        return "It stays until an approver resumes trading, on the page of the switch."
    return (
        f"{switch.by} may take it back until {until:%H:%M:%S} UTC, if nothing else happened; else it stays until an "
        "approver resumes trading: on the page of the switch."
    )


def coins(figures: SystemSnapshot) -> Iterator[Alert]:
    """Coins that are widened or halted, whose cause is no person."""
    for coin in figures.coins:
        reasons = [reason for reason in coin.reasons if reason != Reason.TRADING_STOPPED]
        if coin.state in (State.WIDE, State.HALTED) and (reasons or not coin.reasons):
            yield Alert(
                "coin_contained",
                f"{coin.coin} is {coin.state.lower()}: {', '.join(reasons) or 'no reason given'}",
                1,
                age_seconds(figures, coin.since),
                "It opens again by itself when the cause is gone: look for the cause.",
                list_of("counter_tradingstatus"),
            )


def book_limits(figures: SystemSnapshot) -> Iterator[Alert]:
    """Delta and vega near their limits, before the coin is contained for it: that alert says the reason."""
    for coin in figures.coins:
        for each in coin.book:
            warn_from = product(each.limit.widen_from, settings.BOOK_WARN_RATE)
            if each.measure is None or each.measure < warn_from or str(each.reason) in coin.reasons:
                continue
            name = BOOK_NAMES[each.reason]
            yield Alert(
                "book_risk_high",
                f"The option book's {name} of {coin.coin} is {each.measure:,.0f} USDT: wide from "
                f"{each.limit.widen_from:,.0f}, halted from {each.limit.halt_from:,.0f}",
                1,
                None,
                "Hedge it, or lower what customers may still open: the page Risk says in which series it lies.",
                reverse("risk"),
            )


def rejections(figures: SystemSnapshot) -> Iterator[Alert]:
    """Samples that the index was made without of late."""
    recent = [row for row in figures.rejections if figures.at - row.last_at <= REJECTED_OF_LATE]
    if recent:
        what = ", ".join(f"{row.source} {row.underlying} {row.cause} ({row.count:,})" for row in recent)
        yield Alert(
            "index_rejected",
            f"The index is made without some samples: {what}",
            len(recent),
            age_seconds(figures, min(row.last_at for row in recent)),
            "Other sources carry the coin, or its quotes grow stale by themselves. Look at what the source says.",
            list_of("counter_indexrejection"),
        )

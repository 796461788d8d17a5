"""What needs a human, from the figures: each with how much of it there is, since when, what to do next, and where."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.urls import reverse

from cockpit.figures import Figures
from cockpit.pipeline import Stage
from config.broker import dead_letter_queue
from config.leases import Leader
from counter.containment import Reason
from settlement.halts import RESTORED

AUDIT_OLD_AFTER = timedelta(hours=3)  # it runs every hour, or less often where it takes minutes
AUDIT_OLD_TIMES = 40
RECONCILED_OLD_AFTER = timedelta(minutes=30)  # it runs every three
AUDIT_AGAIN = "See whether the workers work (below) and the schedule is on; run manage.py audit by hand."
# How old the oldest row of a state may grow before somebody should look, beside the limits that the audit knows.
UNKNOWN_AFTER_SECONDS = 60.0
CODES = (
    *("audit_broken", "audit_unchecked", "audit_old", "conversion_manual", "conversion_unknown"),
    "conversion_filled",
    *("funds_transfer_manual", "funds_transfer_unknown", "conflict_open", "intervention_waiting"),
    *(
        "break_open",
        "reconciled_old",
        "index_missing",
        "expiry_late",
        "orders_stuck",
        "withdrawal_overdue",
        "venue_halted",
    ),
    "trading_stopped",
    *("desk_database_down", "coin_contained", "dead_letters", "workers_silent", "leader_silent"),
)


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that does not end by itself, or not soon; `code` is stable and names its paragraph in the guide."""

    code: str
    what: str
    count: int
    oldest_seconds: float | None
    do: str
    url: str


def concerns(figures: Figures) -> list[Concern]:
    """Everything that needs a human now; what loses money first, what only blinds us last."""
    return [concern for find in FINDERS for concern in find(figures)]


def _list(model: str, query: str = "") -> str:
    return reverse(f"admin:{model}_changelist") + query


def _age_seconds(figures: Figures, since: datetime | None) -> float | None:
    return None if since is None else max(0.0, (figures.at - since).total_seconds())


def _stage(figures: Figures, kind: str, state: str) -> Stage | None:
    """The stage, if anything is in it."""
    found = (stage for stage in figures.stages if (stage.kind, stage.state) == (kind, state) and stage.count)
    return next(found, None)


def _audit(figures: Figures) -> Iterator[Concern]:
    run = figures.audit
    if run is None:
        if figures.result and figures.at - figures.result.since > AUDIT_OLD_AFTER:
            yield Concern(
                "audit_old",
                "No audit has ever run",
                1,
                _age_seconds(figures, figures.result.since),
                AUDIT_AGAIN,
                _list("django_celery_beat_periodictask"),
            )
        return
    url = reverse("admin:audit_auditrun_change", args=[run.pk])
    age = _age_seconds(figures, run.at)
    if run.broken:
        yield Concern(
            "audit_broken",
            "The audit found something broken",
            run.broken,
            age,
            "Open the report: each finding names its rule and its row. Run manage.py audit again to see what is left.",
            url,
        )
    if run.unchecked:
        numbers = ", ".join(map(str, run.unchecked))
        yield Concern(
            "audit_unchecked",
            f"The audit could not check invariant {numbers}",
            len(run.unchecked),
            age,
            "The report says why; mostly the venue did not answer. Run manage.py audit when it does.",
            url,
        )
    if figures.at - run.at > max(AUDIT_OLD_AFTER, AUDIT_OLD_TIMES * timedelta(seconds=run.seconds)):
        yield Concern(
            "audit_old",
            "No audit has run for hours",
            1,
            age,
            AUDIT_AGAIN,
            _list("django_celery_beat_periodictask"),
        )


def _manual(figures: Figures) -> Iterator[Concern]:
    for kind, name in (("conversion", "conversions"), ("funds_transfer", "transfers")):
        if stage := _stage(figures, kind, "MANUAL"):
            yield Concern(
                f"{kind}_manual",
                f"{name.capitalize()} wait for a decision",
                stage.count,
                stage.oldest_seconds,
                "Open the oldest, read its reason and the venue's last answer, and ask the venue or decide.",
                stage.url,
            )
        stage = _stage(figures, kind, "UNKNOWN")
        if stage and (stage.oldest_seconds or 0) > UNKNOWN_AFTER_SECONDS:
            yield Concern(
                f"{kind}_unknown",
                f"Nobody knows whether {name} were executed",
                stage.count,
                stage.oldest_seconds,
                "The venue is asked again and again. See whether it answers, and what speaks against a miss.",
                stage.url,
            )


def _filled(figures: Figures) -> Iterator[Concern]:
    limit = settings.AUDIT_AGE_LIMITS_SECONDS["conversion"]["FILLED"]
    stage = _stage(figures, "conversion", "FILLED")
    if stage and (stage.oldest_seconds or 0) > limit:
        yield Concern(
            "conversion_filled",
            "Executed conversions cannot be booked",
            stage.count,
            stage.oldest_seconds,
            "It is tried every few seconds. Open the oldest, read its reason, mend that; Try again shows if it is.",
            stage.url,
        )


def _conflicts(figures: Figures) -> Iterator[Concern]:
    if figures.desk and figures.desk.conflicts:
        yield Concern(
            "conflict_open",
            "Orders came again with other content",
            figures.desk.conflicts,
            _age_seconds(figures, figures.desk.oldest_conflict_at),
            "Compare what was received with the order that stands, and find out who sent it.",
            _list("acceptance_conflict", "?resolved_at__isempty=1"),
        )


def _requests(figures: Figures) -> Iterator[Concern]:
    if figures.desk and figures.desk.requests:
        yield Concern(
            "intervention_waiting",
            "Interventions wait for a second person",
            figures.desk.requests,
            _age_seconds(figures, figures.desk.oldest_request_at),
            "Whoever may approve, and did not ask for it, reads the evidence and approves or rejects.",
            _list("settlement_intervention", "?state__exact=REQUESTED"),
        )


def _breaks(figures: Figures) -> Iterator[Concern]:
    if figures.desk and figures.desk.breaks:
        yield Concern(
            "break_open",
            "Venue, book and clearing do not agree",
            figures.desk.breaks,
            _age_seconds(figures, figures.desk.oldest_break_at),
            "Take the break, follow its trace, and book what is missing; the next reconciliation closes it.",
            _list("settlement_reconciliationbreak", "?state__exact=OPEN"),
        )


def _reconciled(figures: Figures) -> Iterator[Concern]:
    if figures.desk is None:
        return
    since = figures.desk.reconciled_at or (figures.result and figures.result.since)
    if since and figures.at - since > RECONCILED_OLD_AFTER:
        yield Concern(
            "reconciled_old",
            "Venue, book and clearing have not been compared whole for a while",
            1,
            _age_seconds(figures, since),
            "The last run says what it could not compare. Without a run: workers, and whether its schedule is on.",
            _list("settlement_reconciliationrun"),
        )


def _expiries(figures: Figures) -> Iterator[Concern]:
    found = figures.expiries
    if found.without_index:
        yield Concern(
            "index_missing",
            "Options have expired, and the record of their index has a gap",
            found.without_index,
            _age_seconds(figures, found.oldest_without_index),
            "Open the expiry, read what is missing, and enter the index with evidence; a second person approves it.",
            _list("counter_expiry", "?state__exact=WAITING"),
        )
    if found.late:
        yield Concern(
            "expiry_late",
            "Options have expired, and nobody exercises their positions",
            found.late,
            _age_seconds(figures, found.oldest_late),
            "See whether beat leads and the workers work (below), and what the worker's log says of counter.expire.",
            _list("counter_expiry"),
        )


def _stuck(figures: Figures) -> Iterator[Concern]:
    limits = settings.AUDIT_AGE_LIMITS_SECONDS
    synced_limit, _ = settings.CONTAINMENT_AFTER_SECONDS["unsettled"]
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
        stage = _stage(figures, kind, state)
        if stage and Decimal(stage.oldest_seconds or 0) > limit:
            yield Concern(
                "orders_stuck",
                f"Orders stay {state} for longer than {limit} s",
                stage.count,
                stage.oldest_seconds,
                f"Look at {look}.",
                stage.url,
            )


def _withdrawals(figures: Figures) -> Iterator[Concern]:
    stage = _stage(figures, "withdrawal", "RESERVED")
    if stage and (stage.oldest_seconds or 0) > settings.WITHDRAWAL_OVERDUE_AFTER_SECONDS:
        yield Concern(
            "withdrawal_overdue",
            "The wallet service does not end withdrawals",
            stage.count,
            stage.oldest_seconds,
            "Ask the wallet service what became of the oldest: it has to confirm what it paid and release what not.",
            stage.url,
        )


def _venue(figures: Figures) -> Iterator[Concern]:
    if figures.desk is None:
        yield Concern(
            "desk_database_down",
            "The desk's database does not answer",
            1,
            None,
            "Orders are still taken and wait. Bring the database back; everything resumes by itself.",
            "",
        )
    elif halt := figures.desk.halt:
        yield Concern(
            "venue_halted",
            f"{halt.venue} is halted: {halt.reason}",
            1,
            _age_seconds(figures, halt.began_at),
            "Nothing is sent before manage.py after_restore has entered what the desk has forgotten."
            if halt.reason == RESTORED
            else "A ban or an outage ends by itself. A refused key has to be put right. Do not lift a ban's halt.",
            _list("settlement_venuehalt"),
        )


def _stops(figures: Figures) -> Iterator[Concern]:
    for switch in figures.stops:
        yield Concern(
            "trading_stopped",
            f"{switch.by} has stopped {switch.coins} ({switch.get_state_display().lower()}): {switch.reason}",
            1,
            _age_seconds(figures, switch.since),
            "It stays so until an approver lets trading go on, on the switch's own page.",
            reverse("admin:counter_tradingswitch_change", args=[switch.pk]),
        )


def _coins(figures: Figures) -> Iterator[Concern]:
    for coin in figures.coins:
        reasons = [reason for reason in coin.reasons if reason != Reason.TRADING_STOPPED]
        if coin.state in ("WIDE", "HALTED") and (reasons or not coin.reasons):
            yield Concern(
                "coin_contained",
                f"{coin.coin} is {coin.state.lower()}: {', '.join(reasons) or 'no reason given'}",
                1,
                _age_seconds(figures, coin.since),
                "It opens again by itself when the cause is gone: look for the cause.",
                _list("counter_tradingstatus"),
            )


def _queues(figures: Figures) -> Iterator[Concern]:
    dead = dead_letter_queue().name
    for queue in figures.queues:
        if queue.queue == dead and queue.messages:
            yield Concern(
                "dead_letters",
                "Messages that the desk could not take in",
                queue.messages,
                None,
                "manage.py dead_letters shows them; replay them once the cause is gone. No order is lost by them.",
                "",
            )


def _processes(figures: Figures) -> Iterator[Concern]:
    missed = [trip for trip in figures.trips if not trip.ok]
    if missed:
        ages = [trip.age_seconds for trip in missed if trip.age_seconds is not None]
        yield Concern(
            "workers_silent",
            f"No canary came back through {', '.join(trip.queue for trip in missed)}",
            len(missed),
            max(ages, default=None),
            "See whether beat leads, the broker answers and the workers live; restart workers that take nothing.",
            "",
        )
    silent = [leader for leader in _all_leaders(figures) if not leader.is_alive]
    if silent:
        yield Concern(
            "leader_silent",
            f"Nobody leads {', '.join(leader.name for leader in silent)}",
            len(silent),
            max(leader.silent_seconds for leader in silent),
            "Both processes of that name are down or cut off from the database: see make ps and their logs.",
            "",
        )


def _all_leaders(figures: Figures) -> list[Leader]:
    return [*figures.leaders, *(figures.desk.leaders if figures.desk else [])]


FINDERS: tuple[Callable[[Figures], Iterator[Concern]], ...] = (
    *(
        _audit,
        _breaks,
        _reconciled,
        _manual,
        _filled,
        _requests,
        _conflicts,
        _expiries,
        _stuck,
        _withdrawals,
        _venue,
    ),
    *(_stops, _coins, _queues, _processes),
)

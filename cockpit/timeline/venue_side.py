"""What passed between desk and venue for an order's conversions: attempts, fills, states, waits for funds, halts."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import Q

from cockpit.timeline.events import Event, facts, row_link
from settlement.models import Attempt, Conversion, Fill, FundsTransfer, StateChange, VenueHalt
from settlement.models.history import Subject

FIRST_ATTEMPTS, LAST_ATTEMPTS = 10, 90
PROGRAMS = frozenset({"settlement", "treasury", "recovery", "balancing"})
CALLS = {
    "submit": "Order sent to the venue",
    "ask": "The venue asked about it",
    "transfer": "Transfer between the wallets sent",
    "ask_transfer": "The venue's transfer history asked",
}


def events_of(conversions: Sequence[Conversion]) -> Iterator[Event]:
    """Everything about these conversions and the funds that they waited for."""
    ids = [conversion.pk for conversion in conversions]
    if not ids:
        return
    waits_for = [conversion.waits_for_id for conversion in conversions if conversion.waits_for_id]
    for subject, subject_ids in ((Subject.CONVERSION, ids), (Subject.FUNDS_TRANSFER, waits_for)):
        if subject_ids:
            yield from _changes(subject, subject_ids)
            yield from _attempts(subject, subject_ids)
    yield from _fills(ids)
    for transfer in FundsTransfer.objects.filter(pk__in=waits_for) if waits_for else ():
        yield Event(
            transfer.planned_at,
            "desk",
            "funds",
            f"Waits for funds: {transfer}",
            facts(state=transfer.state, reason=transfer.reason),
            row_link("settlement_fundstransfer", transfer.pk),
        )


def halts(venue: str, since: datetime, until: datetime) -> Iterator[Event]:
    """Times in which the venue was sent nothing new, as far as they overlap with the order's."""
    standing = Q(lifted_at__isnull=True) | Q(lifted_at__gte=since)
    for halt in VenueHalt.objects.filter(standing, venue=venue, began_at__lte=until).order_by("id")[:20]:
        link = row_link("settlement_venuehalt", halt.pk)
        yield Event(
            halt.began_at,
            "venue",
            "halt",
            f"{venue} {halt.underlying}".strip() + f" halted: {halt.reason}",
            link=link,
        )
        if halt.lifted_at:
            yield Event(halt.lifted_at, "venue", "halt", f"Halt lifted by {halt.lifted_by}", link=link)


def _changes(subject: Subject, ids: Sequence[int]) -> Iterator[Event]:
    changes = StateChange.objects.filter(subject=subject, subject_id__in=ids).order_by("id")
    for change in changes:
        arrow = f"{change.from_state} → {change.to_state}" if change.from_state else change.to_state
        yield Event(
            change.at,
            "desk" if change.by in PROGRAMS else "people",
            "state",
            f"{subject.label} {change.subject_id}: {arrow}",
            facts(by=change.by, why=change.why),
            row_link("settlement_statechange", change.pk),
        )


def _attempts(subject: Subject, ids: Sequence[int]) -> Iterator[Event]:
    """The first and the last of them: what stays out of sight is asked for every ten seconds, for days if need be."""
    rows = Attempt.objects.filter(subject=subject, subject_id__in=ids).order_by("id")
    last = list(rows.reverse()[:LAST_ATTEMPTS])[::-1]
    first = list(rows.filter(pk__lt=last[0].pk)[:FIRST_ATTEMPTS]) if len(last) == LAST_ATTEMPTS else []
    if len(first) == FIRST_ATTEMPTS:
        between = rows.filter(pk__gt=first[-1].pk, pk__lt=last[0].pk).count()
        if between:
            yield Event(
                first[-1].sent_at, "venue", "attempt", f"{between:,} more calls like these, not shown here"
            )
    for attempt in (*first, *last):
        took = attempt.answered_at and (attempt.answered_at - attempt.sent_at).total_seconds() * 1000
        answer = attempt.answer or (
            "an empty answer" if attempt.answered_at else "no answer yet, or the sender died"
        )
        yield Event(
            attempt.sent_at,
            "venue",
            "attempt",
            f"{CALLS[attempt.call]}: {attempt.outcome.replace('_', ' ') or 'no word'}",
            facts(
                venue=attempt.venue,
                about=f"{subject.label.lower()} {attempt.subject_id}",
                answered_after=f"{took:,.0f} ms" if took else None,  # a question may be noted at one moment
                code=attempt.code,
                http_status=attempt.http_status,
                follows=attempt.follow,
                request_id=attempt.request_id,
            ),
            row_link("settlement_attempt", attempt.pk),
            (("request", json.dumps(attempt.request, indent=2)), ("answer", _pretty(answer))),
        )


def _fills(conversion_ids: Sequence[int]) -> Iterator[Event]:
    for fill in Fill.objects.filter(conversion_id__in=conversion_ids).order_by("traded_at", "id"):
        yield Event(
            fill.traded_at,
            "venue",
            "fill",
            f"Filled {fill.coin:f} at {fill.price:,f}",
            facts(
                trade=fill.venue_trade_id,
                symbol=fill.symbol,
                usdt=fill.usdt,
                fee=f"{fill.fee:f} {fill.fee_asset}",
                fee_worth_in_usdt=fill.fee_usdt,
            ),
            row_link("settlement_fill", fill.pk),
        )


def _pretty(answer: str) -> str:
    """JSON indented, with its digits as they came; anything else as it is."""
    try:
        return json.dumps(json.loads(answer, parse_float=str, parse_int=str), indent=2)
    except ValueError:
        return answer

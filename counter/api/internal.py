"""The desk's side door: pull what is not acknowledged, acknowledge, report settlements. Not for customers.

Every call may be repeated without harm, signed anew each time. `counter.api.signed` opens the door.
"""

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from msgspec import Meta

from counter import contracts
from counter.api.answers import json_answer
from counter.api.errors import ApiError
from counter.api.fields import Query
from counter.api.views import body_of, decode, query_of
from counter.ordering import outbox
from counter.ordering.clearing import clearing_sums
from counter.ordering.order_history import order_history
from counter.ordering.settlements import take_reports
from counter.trading.conditions import FromTheFuture, take_conditions

MAX_ENTRIES = 5000
_DAY_MS = 24 * 3600 * 1000

_ACKNOWLEDGEMENT = msgspec.json.Decoder(contracts.Acknowledgement)
_SETTLEMENTS = msgspec.json.Decoder(contracts.SettlementBatch)
_CONDITIONS = msgspec.json.Decoder(contracts.DeskConditions)

MAX_RUN_ORDERS = 1000
MAX_RUNS = 1000


class UnsyncedQuery(Query):
    """How old an unacknowledged order has to be, how many are wanted, and after which one of the page before."""

    min_age_ms: Annotated[int, Meta(ge=0, le=_DAY_MS)] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_ENTRIES)] = 1000
    after_id: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class HistoryQuery(Query):
    """How many orders are wanted, and after which one."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ENTRIES)] = 1000
    after_id: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class ClearingQuery(Query):
    """After which order, placed before which moment, over how many order ids each sum goes, and how many sums."""

    placed_before: contracts.Moment
    after_id: Annotated[int, Meta(ge=0, le=2**62)] = 0
    width: Annotated[int, Meta(ge=1, le=MAX_RUN_ORDERS)] = MAX_RUN_ORDERS
    runs: Annotated[int, Meta(ge=1, le=MAX_RUNS)] = 200


def unsynced(request: HttpRequest) -> HttpResponse:
    """SyncBatch of orders that the desk has not acknowledged, oldest first."""
    query = query_of(request, UnsyncedQuery)
    placed_before = timezone.now() - timedelta(milliseconds=query.min_age_ms)
    events = outbox.unsynced(placed_before=placed_before, limit=query.limit, after_id=query.after_id)
    return json_answer(contracts.SyncBatch(events=events))


def history(request: HttpRequest) -> HttpResponse:
    """OrderHistory after one order, for a desk that has forgotten some of it."""
    query = query_of(request, HistoryQuery)
    return json_answer(order_history(after_id=query.after_id, limit=query.limit))


def acknowledge(request: HttpRequest) -> HttpResponse:
    """Take an Acknowledgement."""
    message = decode(body_of(request), _ACKNOWLEDGEMENT)
    _check(message, message.order_ids)
    acknowledged = outbox.acknowledge(order_ids=message.order_ids, now=timezone.now())
    return json_answer({"acknowledged": acknowledged})


def settlements(request: HttpRequest) -> HttpResponse:
    """Take a SettlementBatch, answer with a SettlementAnswer."""
    message = decode(body_of(request), _SETTLEMENTS)
    _check(message, message.reports)
    return json_answer(take_reports(reports=message.reports, now=timezone.now()))


def conditions(request: HttpRequest) -> HttpResponse:
    """Take DeskConditions, answer with a ConditionsAnswer."""
    message = decode(body_of(request), _CONDITIONS)
    _check(message, message.coins)
    try:
        taken = take_conditions(coins=message.coins, as_of=message.as_of, now=timezone.now())
    except FromTheFuture as error:
        raise ApiError("invalid_request", str(error), path="$.as_of") from error
    return json_answer(contracts.ConditionsAnswer(taken))


def clearing(request: HttpRequest) -> HttpResponse:
    """ClearingSums of the orders after one, up to a moment."""
    query = query_of(request, ClearingQuery)
    return json_answer(
        clearing_sums(
            after_id=query.after_id, placed_before=query.placed_before, width=query.width, runs=query.runs
        )
    )


def _check(
    message: contracts.Acknowledgement | contracts.SettlementBatch | contracts.DeskConditions,
    entries: list[Any],
) -> None:
    if message.version != contracts.VERSION:
        raise ApiError("invalid_request", f"version {message.version} is not understood", path="$.version")
    if message.source != settings.COUNTER_SOURCE:
        raise ApiError("invalid_request", f"this is {settings.COUNTER_SOURCE}", path="$.source")
    if len(entries) > MAX_ENTRIES:
        raise ApiError("batch_too_large", f"{len(entries)} entries, at most {MAX_ENTRIES}")

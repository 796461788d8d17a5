"""The desk's side door: pull what is not acknowledged, acknowledge, report settlements. Not for customers.

Every call may be repeated without harm, signed anew each time (`counter.api.service_auth`).
"""

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from django.conf import settings
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from counter import contracts
from counter.api.errors import ApiError
from counter.api.fields import Query
from counter.api.parsers import query_of
from counter.api.views import DeskView
from counter.money.cash import AccountError
from counter.money.clearing_payments import take
from counter.orders import outbox
from counter.orders.clearing import clearing_sums
from counter.orders.history import order_history
from counter.orders.ids import TooFarAhead, move_past
from counter.orders.settlements import take_reports
from counter.trading.conditions import FromTheFuture, take_conditions
from infra.coordination import clock

MAX_ENTRIES = 5000
_DAY_MS = 24 * 3600 * 1000

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


class UnsyncedView(DeskView):
    """Orders that the desk has not acknowledged."""

    def get(self, request: Request) -> Response:
        """SyncBatch of them, oldest first."""
        query = query_of(request, UnsyncedQuery)
        placed_before = clock.of("default").now() - timedelta(milliseconds=query.min_age_ms)
        events = outbox.unsynced(placed_before=placed_before, limit=query.limit, after_id=query.after_id)
        return Response(contracts.SyncBatch(events=events))


class HistoryView(DeskView):
    """Orders, for a desk that has forgotten some of them."""

    def get(self, request: Request) -> Response:
        """OrderHistory after one order."""
        query = query_of(request, HistoryQuery)
        return Response(order_history(after_id=query.after_id, limit=query.limit))


class AcknowledgeView(DeskView):
    """Orders that the desk has."""

    decoder = msgspec.json.Decoder(contracts.Acknowledgement)

    def post(self, request: Request) -> Response:
        """Take an Acknowledgement."""
        message = self.message
        _check(message, message.order_ids)
        acknowledged = outbox.acknowledge(order_ids=message.order_ids, now=clock.of("default").now())
        return Response({"acknowledged": acknowledged})


class SettlementsView(DeskView):
    """What orders were settled at."""

    decoder = msgspec.json.Decoder(contracts.SettlementBatch)

    def post(self, request: Request) -> Response:
        """Take a SettlementBatch, answer with a SettlementAnswer."""
        message = self.message
        _check(message, message.reports)
        return Response(take_reports(reports=message.reports, now=clock.of("default").now()))


class ConditionsView(DeskView):
    """What the desk can hedge."""

    decoder = msgspec.json.Decoder(contracts.DeskConditions)

    def post(self, request: Request) -> Response:
        """Take DeskConditions, answer with a ConditionsAnswer."""
        message = self.message
        _check(message, message.coins)
        try:
            taken = take_conditions(coins=message.coins, as_of=message.as_of, now=clock.of("default").now())
        except FromTheFuture as error:
            raise ApiError("invalid_request", str(error), path="$.as_of") from error
        return Response(contracts.ConditionsAnswer(taken))


class OrderIdsView(DeskView):
    """Ids that the desk has held."""

    decoder = msgspec.json.Decoder(contracts.HighestOrder)

    def post(self, request: Request) -> Response:
        """Take a HighestOrder: later orders get higher ids."""
        message = self.message
        _check(message, [])
        try:
            moved = move_past(message.order_id)
        except TooFarAhead as error:
            raise ApiError("invalid_request", str(error), path="$.order_id") from error
        return Response({"moved": moved})


class ClearingView(DeskView):
    """What orders moved through clearing."""

    def get(self, request: Request) -> Response:
        """ClearingSums of the orders after one, up to a moment."""
        query = query_of(request, ClearingQuery)
        return Response(
            clearing_sums(
                after_id=query.after_id,
                placed_before=query.placed_before,
                width=query.width,
                runs=query.runs,
            )
        )


class ClearingPaymentsView(DeskView):
    """Payments of clearing."""

    decoder = msgspec.json.Decoder(contracts.ClearingPaid)

    def post(self, request: Request) -> Response:
        """Take a ClearingPaid, answer with a ClearingAnswer."""
        message = self.message
        _check(message, [])
        try:
            made = take(
                reference=message.reference,
                payment_id=message.payment_id,
                asset=message.asset,
                direction=message.direction,
                amount=message.amount,
                requested_by=message.requested_by,
                approved_by=message.approved_by,
                now=clock.of("default").now(),
            )
        except AccountError as error:  # of this content nothing was booked, and nothing will be
            refused = contracts.ClearingAnswer(
                message.reference, refusal=str(error), at=clock.of("default").now()
            )
            return Response(refused)
        return Response(contracts.ClearingAnswer(made.reference, refusal=made.refusal, at=made.at))


def _check(
    message: contracts.Acknowledgement
    | contracts.SettlementBatch
    | contracts.DeskConditions
    | contracts.HighestOrder
    | contracts.ClearingPaid,
    entries: list[Any],
) -> None:
    if message.version != contracts.VERSION:
        raise ApiError("invalid_request", f"version {message.version} is not understood", path="$.version")
    if message.source != settings.COUNTER_SOURCE:
        raise ApiError("invalid_request", f"this is {settings.COUNTER_SOURCE}", path="$.source")
    if len(entries) > MAX_ENTRIES:
        raise ApiError("batch_too_large", f"{len(entries)} entries, at most {MAX_ENTRIES}")

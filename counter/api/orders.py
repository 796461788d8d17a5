"""Placing and reading orders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from counter.api.answers import JsonAnswer, json_message
from counter.api.codes import CODES
from counter.api.duplicate_fields import check_no_duplicates
from counter.api.errors import ApiError, Problem, refusal_message, refusal_of
from counter.api.examples import PLACE_ORDER, PLACE_ORDERS
from counter.api.ids import asked_row, id_parameter
from counter.api.openapi import NEW_ORDER, PLACING_ERRORS, READING_ERRORS, answers, described
from counter.api.order_messages import (
    AnyOrder,
    OrderBatchBody,
    OrderOutcome,
    OrderOutcomes,
    OrderPage,
    OrderQuery,
    PlacedOrder,
    StoredOrder,
    placed_order,
    stored_order,
)
from counter.api.pages import page_of
from counter.api.parsers import decode, query_of
from counter.api.raw_request import until_of
from counter.api.times import between
from counter.api.views import CustomerView
from counter.limits.reached import Reached
from counter.limits.refusals import refusals
from counter.models import SyncOrder
from counter.orders.exercise_names import stored_name
from counter.orders.queue import order_queue
from counter.orders.requests import BEHIND, Accepted, OrderRequest, Outcome, Rejected
from counter.public_ids import Kind


class _LooseBatch(msgspec.Struct, forbid_unknown_fields=True):
    """A batch whose orders are still to be decoded, each for itself."""

    orders: list[msgspec.Raw]


# What cannot be read costs by its length: a body of megabytes is no one refused order.
BYTES_OF_AN_ORDER = 200
_ORDER = msgspec.json.Decoder(AnyOrder)
_BATCH = msgspec.json.Decoder(OrderBatchBody)
_LOOSE_BATCH = msgspec.json.Decoder(_LooseBatch)
_REPLAYED = {"Idempotent-Replayed": "true"}


@dataclass(frozen=True, slots=True)
class DecodedBody:
    """What a body asks for: requests to be placed, and among them the outcomes of orders that cannot be read."""

    orders: list[OrderRequest | OrderOutcome]
    requests: list[OrderRequest]


@dataclass(frozen=True, slots=True)
class Placing:
    """How an address reads its body (for a customer's id) and answers with the outcomes of the requests in it.

    Decoding raises ApiError.
    """

    decode: Callable[[bytes, int], DecodedBody]
    answer: Callable[[DecodedBody, Sequence[Outcome]], JsonAnswer]

    def read(self, body: bytes, customer_id: int) -> DecodedBody:
        """What a body asks for; one that cannot be read counts as the refused orders it has room for.

        Raises: ApiError; TooManyRefusals.
        """
        refusals.check(customer_id)
        try:
            return self.decode(body, customer_id)
        except ApiError:
            refusals.count(customer_id, refused=1 + len(body) // BYTES_OF_AN_ORDER, accepted=0)
            raise

    def told(self, asked: DecodedBody, outcomes: Sequence[Outcome], customer_id: int) -> JsonAnswer:
        """The answer, which is counted."""
        accepted = sum(isinstance(outcome, Accepted) for outcome in outcomes)
        not_now = 0 if accepted == len(outcomes) else outcomes.count(BEHIND)
        # Not the customer's fault: it costs none of the refusals that may be had.
        refusals.count(customer_id, refused=len(asked.orders) - accepted - not_now, accepted=accepted)
        if not_now and not_now == len(asked.orders):
            return refusal_message(BEHIND)
        return self.answer(asked, outcomes)

    def place(self, asked: DecodedBody, customer_id: int, *, until: float | None) -> Response:
        """Answer what was read, waiting for the commit, which is sent by `until` if at all (`order_queue.place`).

        Raises: what `order_queue.place` raises.
        """
        outcomes = order_queue.place(asked.requests, until=until) if asked.requests else []
        answer = self.told(asked, outcomes, customer_id)
        return Response(msgspec.Raw(answer.body), answer.status, headers=answer.headers)


def _read_single(body: bytes, customer_id: int) -> DecodedBody:
    order = decode(body, _ORDER)
    check_no_duplicates(body, colons=order.colons())
    request = order.request(customer_id)
    return DecodedBody([request], [request])


def _answer_single(asked: DecodedBody, outcomes: Sequence[Outcome]) -> JsonAnswer:
    [outcome] = outcomes
    if isinstance(outcome, Rejected):
        return refusal_message(outcome)
    headers = _REPLAYED if outcome.replayed else None
    return json_message(placed_order(outcome.order), status=201, headers=headers)


def _read_many(body: bytes, customer_id: int) -> DecodedBody:
    orders = _read_batch(body, customer_id)
    return DecodedBody(orders, [order for order in orders if not isinstance(order, OrderOutcome)])


def _answer_many(asked: DecodedBody, outcomes: Sequence[Outcome]) -> JsonAnswer:
    placed = iter(outcomes)
    results = [
        order if isinstance(order, OrderOutcome) else _outcome_body(next(placed)) for order in asked.orders
    ]
    return json_message(OrderOutcomes(results))


SINGLE = Placing(_read_single, _answer_single)
BATCH = Placing(_read_many, _answer_many)


class OrdersView(CustomerView):
    """One order at a time, and the customer's orders."""

    unpaced_methods = ("POST",)

    def read(self, body: bytes) -> DecodedBody:
        """As the fast path reads it."""
        return SINGLE.read(body, self.customer_id)

    @extend_schema(
        operation_id="place_order",
        tags=["orders"],
        request=NEW_ORDER,
        responses=answers(PLACING_ERRORS, {201: PlacedOrder}),
        summary="Place an order",
        examples=PLACE_ORDER,
    )
    def post(self, request: Request) -> Response:
        """Open a position or close one. Once answered with 201 the order is committed and nothing takes it back.

        The same client_order_id with the same content is answered with the same order and the header
        `Idempotent-Replayed: true`; with other content it is refused (409).
        """
        return SINGLE.place(self.message, self.customer_id, until=until_of(request))

    @extend_schema(
        operation_id="list_orders",
        tags=["orders"],
        parameters=[described(OrderQuery)],
        responses=answers(READING_ERRORS, {200: OrderPage}),
        summary="List own orders, newest first",
    )
    def get(self, request: Request) -> Response:
        """The customer's orders."""
        query = query_of(request, OrderQuery)
        orders = SyncOrder.objects.filter(customer_id=self.customer_id)
        if query.client_order_id is not None:
            orders = orders.filter(client_order_id=stored_name(query.client_order_id))
        if query.state is not None:
            orders = orders.filter(state=query.state.upper())
        if query.symbol is not None:
            orders = orders.filter(symbol=query.symbol)
        rows, next_cursor = page_of(between(orders, query, "placed_at"), query, Kind.ORDER)
        return Response(OrderPage([stored_order(row) for row in rows], next_cursor))


class OrderView(CustomerView):
    """One order."""

    @extend_schema(
        operation_id="read_order",
        tags=["orders"],
        parameters=[id_parameter("order_id", Kind.ORDER)],
        responses=answers(READING_ERRORS, {200: StoredOrder}),
        summary="Read one order",
    )
    def get(self, request: Request, order_id: str) -> Response:
        """One of the customer's orders."""
        own = SyncOrder.objects.filter(customer_id=self.customer_id)
        order = own.filter(pk=asked_row(Kind.ORDER, order_id, "order_id")).first()
        if order is None:
            raise ApiError("not_found", f"this customer has no order {order_id}")
        return Response(stored_order(order))


class OrderBatchView(CustomerView):
    """Many orders in one request and one transaction."""

    unpaced_methods = ("POST",)

    def read(self, body: bytes) -> DecodedBody:
        """As the fast path reads it."""
        return BATCH.read(body, self.customer_id)

    @extend_schema(
        operation_id="place_orders",
        tags=["orders"],
        request=described(OrderBatchBody),
        responses=answers(PLACING_ERRORS, {200: OrderOutcomes}),
        summary="Place up to 1,000 orders",
        examples=PLACE_ORDERS,
    )
    def post(self, request: Request) -> Response:
        """Decide each order as if it were sent alone, one after the other; refused ones do not hinder the others."""
        return BATCH.place(self.message, self.customer_id, until=until_of(request))


def _read_batch(raw: bytes, customer_id: int) -> list[OrderRequest | OrderOutcome]:
    """A request for each order, or the error of one that cannot be read."""
    try:
        orders = decode(raw, _BATCH).orders
    except ApiError as error:
        if error.code != "invalid_request":
            raise
        loose = decode(raw, _LOOSE_BATCH).orders
        _check_size(loose)
        # Of the colons that are not in its orders there is one.
        check_no_duplicates(raw, colons=1 + sum(bytes(order).count(b":") for order in loose))
        return [_read_one(order, customer_id) for order in loose]
    _check_size(orders)
    check_no_duplicates(raw, colons=1 + sum(order.colons() for order in orders))
    return [order.request(customer_id) for order in orders]


def _check_size(orders: list[object] | list[msgspec.Raw] | list[AnyOrder]) -> None:
    if len(orders) > settings.MAX_BATCH_ORDERS:
        raise ApiError(
            "batch_too_large",
            f"{len(orders)} orders, at most {settings.MAX_BATCH_ORDERS} in a batch",
            Reached("orders", left=settings.MAX_BATCH_ORDERS, limit=settings.MAX_BATCH_ORDERS),
        )
    if not orders:
        raise ApiError("invalid_request", "a batch has at least one order", path="$.orders")


def _read_one(raw: msgspec.Raw, customer_id: int) -> OrderRequest | OrderOutcome:
    try:
        order = decode(raw, _ORDER)
        check_no_duplicates(raw, colons=order.colons())
        return order.request(customer_id)
    except ApiError as error:
        problem = Problem(error.code, str(error), error.detail or None)
        return OrderOutcome(status=CODES[error.code].status, error=problem)


def _outcome_body(outcome: Outcome) -> OrderOutcome:
    if isinstance(outcome, Rejected):
        return OrderOutcome(CODES[outcome.code].status, error=refusal_of(outcome))
    return OrderOutcome(201, order=placed_order(outcome.order), replayed=outcome.replayed)

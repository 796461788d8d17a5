"""Placing and reading orders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from counter.api.answers import JsonAnswer, json_answer, json_message
from counter.api.codes import CODES
from counter.api.errors import ApiError, Problem, rejection_message
from counter.api.examples import PLACE_ORDER, PLACE_ORDERS
from counter.api.openapi import NEW_ORDER, PLACING_ERRORS, READING_ERRORS, answers, described
from counter.api.order_messages import (
    AnyOrder,
    OrderBatchBody,
    OrderOutcome,
    OrderOutcomes,
    OrderPage,
    PlacedOrder,
    StoredOrder,
    placed_order,
    stored_order,
)
from counter.api.pages import OrderQuery, page_of
from counter.api.repeats import check_no_repeats
from counter.api.views import CustomerView, body_of, decode, query_of
from counter.models import SyncOrder
from counter.ordering.gate import gate
from counter.ordering.order_requests import OrderRequest, Outcome, Rejected


class _LooseBatch(msgspec.Struct, forbid_unknown_fields=True):
    """A batch whose orders are still to be decoded, each for itself."""

    orders: list[msgspec.Raw]


_ORDER = msgspec.json.Decoder(AnyOrder)
_BATCH = msgspec.json.Decoder(OrderBatchBody)
_LOOSE_BATCH = msgspec.json.Decoder(_LooseBatch)
_REPLAYED = {"Idempotent-Replayed": "true"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a body asks for: requests to be placed, and among them the outcomes of orders that cannot be read."""

    orders: list[OrderRequest | OrderOutcome]
    requests: list[OrderRequest]


@dataclass(frozen=True, slots=True)
class Placing:
    """How an address reads its body (for a customer's id) and answers with the outcomes of the requests in it.

    Reading raises ApiError.
    """

    read: Callable[[bytes, int], Asked]
    answer: Callable[[Asked, Sequence[Outcome]], JsonAnswer]

    def place(self, body: bytes, customer_id: int) -> HttpResponse:
        """Answer a body, waiting for the commit.

        Raises: ApiError; what `Gate.place` raises.
        """
        asked = self.read(body, customer_id)
        return self.answer(asked, gate.place(asked.requests) if asked.requests else []).response()


def _read_single(body: bytes, customer_id: int) -> Asked:
    order = decode(body, _ORDER)
    check_no_repeats(body, colons=order.colons())
    request = order.request(customer_id)
    return Asked([request], [request])


def _answer_single(asked: Asked, outcomes: Sequence[Outcome]) -> JsonAnswer:
    [outcome] = outcomes
    if isinstance(outcome, Rejected):
        return rejection_message(outcome)
    headers = _REPLAYED if outcome.replayed else None
    return json_message(placed_order(outcome.order), status=201, headers=headers)


def _read_many(body: bytes, customer_id: int) -> Asked:
    orders = _read_batch(body, customer_id)
    return Asked(orders, [order for order in orders if not isinstance(order, OrderOutcome)])


def _answer_many(asked: Asked, outcomes: Sequence[Outcome]) -> JsonAnswer:
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

    @extend_schema(
        operation_id="place_order",
        request=NEW_ORDER,
        responses=answers(PLACING_ERRORS, {201: PlacedOrder}),
        summary="Place an order",
        examples=PLACE_ORDER,
    )
    def post(self, request: Request) -> HttpResponse:
        """Open a position or close one. Once answered with 201 the order is committed and nothing takes it back.

        The same client_order_id with the same content is answered with the same order and the header
        `Idempotent-Replayed: true`; with other content it is refused (409).
        """
        return SINGLE.place(body_of(request), self.customer_id)

    @extend_schema(
        operation_id="list_orders",
        parameters=[described(OrderQuery)],
        responses=answers(READING_ERRORS, {200: OrderPage}),
        summary="List own orders, newest first",
    )
    def get(self, request: Request) -> HttpResponse:
        """The customer's orders."""
        query = query_of(request, OrderQuery)
        orders = SyncOrder.objects.filter(customer_id=self.customer_id)
        if query.client_order_id is not None:
            orders = orders.filter(client_order_id=query.client_order_id)
        if query.state is not None:
            orders = orders.filter(state=query.state.upper())
        if query.symbol is not None:
            orders = orders.filter(symbol=query.symbol)
        rows, next_cursor = page_of(orders, query)
        return json_answer(OrderPage([stored_order(row) for row in rows], next_cursor))


class OrderView(CustomerView):
    """One order."""

    @extend_schema(
        operation_id="read_order",
        responses=answers(READING_ERRORS, {200: StoredOrder}),
        summary="Read one order",
    )
    def get(self, request: Request, order_id: int) -> HttpResponse:
        """One of the customer's orders."""
        order = SyncOrder.objects.filter(customer_id=self.customer_id, pk=order_id).first()
        if order is None:
            raise ApiError("not_found", f"this customer has no order {order_id}")
        return json_answer(stored_order(order))


class OrderBatchView(CustomerView):
    """Many orders in one request and one transaction."""

    unpaced_methods = ("POST",)

    @extend_schema(
        operation_id="place_orders",
        request=described(OrderBatchBody),
        responses=answers(PLACING_ERRORS, {200: OrderOutcomes}),
        summary="Place up to 1,000 orders",
        examples=PLACE_ORDERS,
    )
    def post(self, request: Request) -> HttpResponse:
        """Decide each order as if it were sent alone, one after the other; refused ones do not hinder the others."""
        return BATCH.place(body_of(request), self.customer_id)


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
        check_no_repeats(raw, colons=1 + sum(bytes(order).count(b":") for order in loose))
        return [_read_one(order, customer_id) for order in loose]
    _check_size(orders)
    check_no_repeats(raw, colons=1 + sum(order.colons() for order in orders))
    return [order.request(customer_id) for order in orders]


def _check_size(orders: list[object] | list[msgspec.Raw] | list[AnyOrder]) -> None:
    if len(orders) > settings.MAX_BATCH_ORDERS:
        raise ApiError(
            "batch_too_large", f"{len(orders)} orders, at most {settings.MAX_BATCH_ORDERS} in a batch"
        )
    if not orders:
        raise ApiError("invalid_request", "a batch has at least one order", path="$.orders")


def _read_one(raw: msgspec.Raw, customer_id: int) -> OrderRequest | OrderOutcome:
    try:
        order = decode(raw, _ORDER)
        check_no_repeats(raw, colons=order.colons())
        return order.request(customer_id)
    except ApiError as error:
        problem = Problem(error.code, str(error), error.detail or None)
        return OrderOutcome(status=CODES[error.code].status, error=problem)


def _outcome_body(outcome: Outcome) -> OrderOutcome:
    if isinstance(outcome, Rejected):
        return OrderOutcome(CODES[outcome.code].status, error=Problem(outcome.code, outcome.message))
    return OrderOutcome(201, order=placed_order(outcome.order), replayed=outcome.replayed)

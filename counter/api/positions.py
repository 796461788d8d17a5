"""A customer's positions and balance."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from counter.api.errors import ApiError
from counter.api.ids import asked_row, id_parameter
from counter.api.openapi import READING_ERRORS, answers, described
from counter.api.pages import page_of
from counter.api.parsers import query_of
from counter.api.position_messages import (
    AccountList,
    PositionBody,
    PositionPage,
    PositionQuery,
    limited_account,
    position_body,
)
from counter.api.times import between_orders
from counter.api.views import CustomerView
from counter.models import Account, Position
from counter.public_ids import Kind


class PositionsView(CustomerView):
    """The customer's positions."""

    @extend_schema(
        operation_id="list_positions",
        tags=["positions"],
        parameters=[described(PositionQuery)],
        responses=answers(READING_ERRORS, {200: PositionPage}),
        summary="List own positions, newest first",
    )
    def get(self, request: Request) -> Response:
        """Every position that the customer has or had."""
        query = query_of(request, PositionQuery)
        positions = Position.objects.filter(customer_id=self.customer_id).select_related("option")
        if query.state is not None:
            positions = positions.filter(state=query.state.upper())
        rows, next_cursor = page_of(between_orders(positions, query, "opened_at"), query, Kind.POSITION)
        return Response(PositionPage([position_body(row) for row in rows], next_cursor))


class PositionView(CustomerView):
    """One position."""

    @extend_schema(
        operation_id="read_position",
        tags=["positions"],
        parameters=[id_parameter("position_id", Kind.POSITION)],
        responses=answers(READING_ERRORS, {200: PositionBody}),
        summary="Read one position",
    )
    def get(self, request: Request, position_id: str) -> Response:
        """One of the customer's positions."""
        own = Position.objects.filter(customer_id=self.customer_id).select_related("option")
        position = own.filter(pk=asked_row(Kind.POSITION, position_id, "position_id")).first()
        if position is None:
            raise ApiError("not_found", f"this customer has no position {position_id}")
        return Response(position_body(position))


class AccountsView(CustomerView):
    """The customer's balance."""

    @extend_schema(
        operation_id="list_accounts",
        tags=["account"],
        responses=answers(READING_ERRORS, {200: AccountList}),
        summary="Read own balance",
    )
    def get(self, request: Request) -> Response:
        """One account, of USDT, with what is open and the limits on it."""
        accounts = Account.objects.filter(customer_id=self.customer_id)
        return Response(AccountList([limited_account(account) for account in accounts]))

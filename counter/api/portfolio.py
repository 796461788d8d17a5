"""The customer's portfolio over time: what there was each hour, or each day, and what of it is profit."""

from typing import Annotated, Literal

import msgspec
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from counter.api.fields import Query, usdt
from counter.api.openapi import READING_ERRORS, answers, described
from counter.api.parsers import query_of
from counter.api.views import CustomerView
from counter.contracts import Moment
from counter.market.portfolio import PortfolioMoment, history
from infra.coordination import clock


class PortfolioQuery(Query, kw_only=True):
    """How far back."""

    span: Annotated[
        Literal["day", "week", "year"],
        Meta(title="PortfolioSpan", description="A day or a week by hours, a year by days."),
    ] = "week"


class PortfolioPoint(msgspec.Struct):
    """A moment of an hour. Both are null where a price was not known or a payout was still to come."""

    at: Moment
    value: Annotated[
        str | None,
        Meta(description="USDT, 6 decimals: balance, and what closing every position would bring."),
    ]
    profit: Annotated[
        str | None, Meta(description="USDT, 6 decimals: `value` less deposits, plus withdrawals, since ever.")
    ]


class PortfolioBody(msgspec.Struct):
    """Points, oldest first, from the first that was measured on: when something was held."""

    points: list[PortfolioPoint]


class PortfolioView(CustomerView):
    """The customer's portfolio over time."""

    @extend_schema(
        operation_id="read_portfolio",
        tags=["account"],
        parameters=[described(PortfolioQuery)],
        responses=answers(READING_ERRORS, {200: PortfolioBody}),
        summary="Read own portfolio over time",
    )
    def get(self, request: Request) -> Response:
        """What balance and positions were worth, measured once an hour, and how much of that is profit."""
        query = query_of(request, PortfolioQuery)
        points = history(
            customer_id=self.customer_id, span=f"1{query.span[0]}", now=clock.of("default").now()
        )
        return Response(PortfolioBody([_point(point) for point in points]))


def _point(point: PortfolioMoment) -> PortfolioPoint:
    return PortfolioPoint(
        at=point.at,
        value=None if point.value is None else usdt(point.value),
        profit=None if point.profit is None else usdt(point.profit),
    )

"""What is for sale and at what price."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from counter.api.errors import json_answer
from counter.api.market_messages import InstrumentList, InstrumentQuery, QuoteList, instrument, quote_body
from counter.api.openapi import READING_ERRORS, answers, described
from counter.api.views import CustomerView, query_of
from counter.containment import State
from counter.quotes import current_quotes, tradable_options
from counter.trading_status import trading_by_coin


class InstrumentsView(CustomerView):
    """Options that have not expired."""

    @extend_schema(
        operation_id="list_instruments",
        parameters=[described(InstrumentQuery)],
        responses=answers(READING_ERRORS, {200: InstrumentList}),
        summary="List options",
    )
    def get(self, request: Request) -> HttpResponse:
        """Options by underlying, expiry and strike, all in one answer."""
        query = query_of(request, InstrumentQuery)
        now = timezone.now()
        options = tradable_options(
            now=now, underlying=query.underlying, expiry=query.expiry, symbol=query.symbol
        )
        halted = {coin for coin, trading in trading_by_coin(now=now).items() if trading.state is State.HALTED}
        return json_answer(
            InstrumentList([instrument(option, is_halted=option.underlying in halted) for option in options])
        )


class QuotesView(CustomerView):
    """Present prices."""

    @extend_schema(
        operation_id="list_quotes",
        parameters=[described(InstrumentQuery)],
        responses=answers(READING_ERRORS, {200: QuoteList}),
        summary="List present prices",
    )
    def get(self, request: Request) -> HttpResponse:
        """Premiums in coin, and what one contract costs and brings in USDT, for options that have a quote."""
        query = query_of(request, InstrumentQuery)
        quotes = current_quotes(
            now=timezone.now(), underlying=query.underlying, expiry=query.expiry, symbol=query.symbol
        )
        return json_answer(QuoteList([quote_body(quote) for quote in quotes]))

"""What is for sale and at what price."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import msgspec
from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from counter.api.duplicate_fields import check_no_duplicates
from counter.api.errors import ApiError
from counter.api.examples import FIRM_QUOTE
from counter.api.kept_answers import KeptAnswers
from counter.api.market_messages import (
    GreeksList,
    IndexBody,
    IndexQuery,
    InstrumentList,
    InstrumentQuery,
    QuoteList,
    QuoteQuery,
    greeks_body,
    index_body,
    instrument,
    quote_body,
)
from counter.api.openapi import ANY_AUTH, NEW_QUOTE, QUOTING_ERRORS, READING_ERRORS, answers, described
from counter.api.parsers import decode, query_of
from counter.api.quote_messages import AnyQuote, FirmQuoteBody, firm_quote_body
from counter.api.views import MarketView
from counter.circuit_breaker import State
from counter.market.firm_quotes import give
from counter.market.index_history import history
from counter.market.quote_greeks import greeks_by_option
from counter.market.quotes import CurrentQuote, current_quotes, tradable_options
from counter.orders.requests import Rejected
from counter.trading.status import trading_by_coin
from infra.coordination import clock

_QUOTE = msgspec.json.Decoder(AnyQuote)
Q = TypeVar("Q", InstrumentQuery, QuoteQuery, IndexQuery)
_KEPT: KeptAnswers[Any] = KeptAnswers()


class InstrumentsView(MarketView):
    """Options that have not expired."""

    @extend_schema(
        operation_id="list_instruments",
        tags=["market"],
        parameters=[described(InstrumentQuery)],
        auth=ANY_AUTH,
        responses=answers(READING_ERRORS, {200: InstrumentList}),
        summary="List options",
    )
    def get(self, request: Request) -> Response:
        """Options by underlying, expiry and strike, all in one answer. Needs no credentials."""
        return _kept(_instruments, query_of(request, InstrumentQuery))


class QuotesView(MarketView):
    """Present prices."""

    def read(self, body: bytes) -> AnyQuote:
        """What a firm quote is asked for."""
        asked = decode(body, _QUOTE)
        check_no_duplicates(body, colons=asked.colons())
        return asked

    @extend_schema(
        operation_id="list_quotes",
        tags=["market"],
        parameters=[described(QuoteQuery)],
        auth=ANY_AUTH,
        responses=answers(READING_ERRORS, {200: QuoteList}),
        summary="List present prices",
    )
    def get(self, request: Request) -> Response:
        """Premiums in coin, and what an order costs and brings in USDT, for options that have a quote.

        For one contract, or for as many as `contracts` says: where size is charged for, more contracts cost more each.
        Needs no credentials.
        """
        query = query_of(request, QuoteQuery)
        if query.contracts > 1 and query.symbol is None:  # all options of each size would be worked out anew
            raise ApiError("invalid_request", "contracts need a symbol")
        return _kept(_quotes, query)

    @extend_schema(
        operation_id="ask_firm_quote",
        tags=["market"],
        request=NEW_QUOTE,
        responses=answers(QUOTING_ERRORS, {201: FirmQuoteBody}),
        summary="Ask for a firm quote",
        examples=FIRM_QUOTE,
    )
    def post(self, request: Request) -> Response:
        """A price that one order gets if it names the quote before it expires, though the market moves meanwhile.

        It holds for its customer, side, symbol or position, and size, and once. It promises the price, not that the
        option is traded: an open is still refused while the option or its coin takes none.
        """
        quote = give(request=self.message.request(self.customer_id), now=clock.of("default").now())
        if isinstance(quote, Rejected):
            raise ApiError(quote.code, quote.message, quote.reached)
        return Response(firm_quote_body(quote), status=201)


class GreeksView(MarketView):
    """Sensitivities of the options' values."""

    @extend_schema(
        operation_id="list_greeks",
        tags=["market"],
        parameters=[described(InstrumentQuery)],
        auth=ANY_AUTH,
        responses=answers(READING_ERRORS, {200: GreeksList}),
        summary="List greeks",
    )
    def get(self, request: Request) -> Response:
        """By the model at the index and volatility of the present quotes: options whose quote is stale have none.

        Needs no credentials.
        """
        return _kept(_greeks, query_of(request, InstrumentQuery))


class IndexView(MarketView):
    """The index of a coin, and its past."""

    @extend_schema(
        operation_id="read_index",
        tags=["market"],
        parameters=[described(IndexQuery)],
        auth=ANY_AUTH,
        responses=answers(READING_ERRORS, {200: IndexBody}),
        summary="Read the index of a coin with its history",
    )
    def get(self, request: Request) -> Response:
        """Points at round times, oldest first, and the index of now; there is no point where none was recorded.

        Needs no credentials.
        """
        query = query_of(request, IndexQuery)
        if query.underlying not in settings.COINS:
            raise ApiError("not_found", f"there is no index of {query.underlying}")
        return _kept(_index, query)


def _kept(answer: Callable[[Q, datetime], Any], query: Q) -> Response:
    """The same for everybody who asks the same within a moment: it depends on no caller."""
    asked = (answer, *msgspec.structs.astuple(query))
    return Response(_KEPT.get(asked, partial(answer, query), clock=clock.of("default").now))


def _instruments(query: InstrumentQuery, now: datetime) -> InstrumentList:
    options = tradable_options(now=now, underlying=query.underlying, expiry=query.expiry, symbol=query.symbol)
    halted = {coin for coin, trading in trading_by_coin(now=now).items() if trading.state is State.HALTED}
    return InstrumentList([instrument(option, is_halted=option.underlying in halted) for option in options])


def _current(query: InstrumentQuery, now: datetime, contracts: int = 1) -> list[CurrentQuote]:
    return current_quotes(
        now=now,
        underlying=query.underlying,
        expiry=query.expiry,
        symbol=query.symbol,
        contracts=contracts,
    )


def _quotes(query: QuoteQuery, now: datetime) -> QuoteList:
    return QuoteList([quote_body(quote) for quote in _current(query, now, query.contracts)])


def _greeks(query: InstrumentQuery, now: datetime) -> GreeksList:
    quotes = [each.quote for each in _current(query, now) if not each.is_stale]
    known = greeks_by_option(quotes, now=now)
    return GreeksList(
        [greeks_body(quote, known[quote.option_id]) for quote in quotes if quote.option_id in known]
    )


def _index(query: IndexQuery, now: datetime) -> IndexBody:
    return index_body(query, history(coin=query.underlying, span=f"1{query.span[0]}", now=now))

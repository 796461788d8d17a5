"""What is for sale and at what price."""

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from counter.api.answers import json_answer
from counter.api.errors import rejection_answer
from counter.api.examples import FIRM_QUOTE
from counter.api.market_messages import InstrumentList, InstrumentQuery, QuoteList, instrument, quote_body
from counter.api.openapi import NEW_QUOTE, QUOTING_ERRORS, READING_ERRORS, answers, described
from counter.api.quote_messages import AnyQuote, FirmQuoteBody, firm_quote_body
from counter.api.repeats import check_no_repeats
from counter.api.views import CustomerView, body_of, decode, query_of
from counter.containment import State
from counter.market.firm_quotes import give
from counter.market.quotes import current_quotes, tradable_options
from counter.ordering.order_requests import Rejected
from counter.trading.trading_status import trading_by_coin

_QUOTE = msgspec.json.Decoder(AnyQuote)


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

    @extend_schema(
        operation_id="ask_firm_quote",
        request=NEW_QUOTE,
        responses=answers(QUOTING_ERRORS, {201: FirmQuoteBody}),
        summary="Ask for a firm quote",
        examples=FIRM_QUOTE,
    )
    def post(self, request: Request) -> HttpResponse:
        """A price that one order gets if it names the quote before it expires, whatever the market does meanwhile.

        It holds for its customer, side, symbol or position, and size, and once. It promises the price, not that the
        option is traded: an open is still refused while the option or its coin takes none.
        """
        body = body_of(request)
        asked = decode(body, _QUOTE)
        check_no_repeats(body, colons=asked.colons())
        quote = give(request=asked.request(self.customer_id), now=timezone.now())
        if isinstance(quote, Rejected):
            return rejection_answer(quote)
        return json_answer(firm_quote_body(quote), status=201)

"""How a fault disturbs one request: before it is carried out, while, and on the way back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from aiohttp import web

from tools.paper_venue.errors import ApiError, MarketClosed, ServiceClosed, TooMuchWeight, TradingDisabled
from tools.paper_venue.faults import Fault, FaultKind
from tools.paper_venue.market import Market
from tools.paper_venue.rest.replies import refusal, refusal_of, reply
from tools.paper_venue.venue import Venue

Struck = Mapping[FaultKind, Fault]

FIREWALL_PAGE = "<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>"
RESTRICTED = (
    451,
    0,
    "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of use.",
)

INTERNAL_ERROR = (503, -1001, "Internal error; unable to process your request. Please try again.")
BACKEND_TIMEOUT = (
    504,
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
)


async def delay_request(venue: Venue, struck: Struck) -> None:
    """The venue's ordinary latency and that of a fault, before anything is executed."""
    settings = venue.settings
    seconds = (settings.latency_ms + random.random() * settings.latency_jitter_ms) / 1000
    if fault := struck.get(FaultKind.LATENCY):
        seconds += fault.delay_seconds()
    if seconds:
        await asyncio.sleep(seconds)


def refusal_by_fault(struck: Struck, *, now_ms: int) -> web.Response | None:
    """The answer to a request that a fault keeps from being executed."""
    if FaultKind.FIREWALL in struck:
        return web.Response(text=FIREWALL_PAGE, status=403, content_type="text/html")
    if FaultKind.REGION in struck:
        return refusal_of(*RESTRICTED)
    if fault := struck.get(FaultKind.BAN):
        until_ms = now_ms + fault.seconds_left(now_ms) * 1000
        banned = TooMuchWeight(
            message=f"Way too much request weight used; IP banned until {until_ms}.",
            status=418,
            retry_after_seconds=fault.seconds_left(now_ms),
        )
        return refusal(banned, headers={})
    if FaultKind.MAINTENANCE in struck:
        return refusal(ServiceClosed(), headers={})
    if fault := struck.get(FaultKind.RATE_LIMIT):
        status, seconds = fault.status or 429, fault.retry_after_seconds
        message = fault.message or "Too much request weight used; please wait."
        return refusal(TooMuchWeight(message=message, status=status, retry_after_seconds=seconds), headers={})
    if fault := struck.get(FaultKind.ERROR_BEFORE):
        return _error(fault, *INTERNAL_ERROR)
    return None


def spoil_reply(response: web.Response, struck: Struck) -> web.Response:
    """What arrives instead of the answer to a request that was executed."""
    if fault := struck.get(FaultKind.ERROR_AFTER):
        return _error(fault, *BACKEND_TIMEOUT)
    if FaultKind.EMPTY_BODY in struck:
        return web.Response(text="", content_type="application/json")
    if FaultKind.EMPTY_OBJECT in struck:
        return reply({})
    if FaultKind.CUT_BODY in struck:
        text = response.text or ""
        return web.Response(text=text[: len(text) // 2], content_type="application/json")
    return response


def lose_connection(request: web.Request) -> web.Response:
    """Close the connection without an answer; the response is never sent."""
    if request.transport:
        request.transport.abort()
    return web.Response()


@contextmanager
def other_rules(venue: Venue, struck: Struck) -> Iterator[None]:
    """While a request is carried out, markets have other filters or another status, or take no orders."""
    before = {name: market.symbol for name, market in venue.engine.markets.items()}
    try:
        for kind, change in _RULES.items():
            if fault := struck.get(kind):
                for name, market in venue.engine.markets.items():
                    if fault.symbol in (None, name):
                        change(fault, market)
        yield
    finally:
        for name, market in venue.engine.markets.items():
            market.symbol, market.refusal = before[name], None


def _change_filters(fault: Fault, market: Market) -> None:
    names = ("step", "tick", "min_notional")
    changed = {name: getattr(fault, name) for name in names if getattr(fault, name) is not None}
    market.symbol = replace(market.symbol, **changed)


def _show_status(fault: Fault, market: Market) -> None:
    market.symbol = replace(market.symbol, status=fault.status_text)
    market.refusal = MarketClosed()


def _close(fault: Fault, market: Market) -> None:
    market.refusal = _as_told(fault, MarketClosed())


def _disable(fault: Fault, market: Market) -> None:
    market.refusal = _as_told(fault, TradingDisabled())


def _as_told(fault: Fault, error: ApiError) -> ApiError:
    """The refusal with the fault's own code and words, if it has any."""
    error.code = error.code if fault.code is None else fault.code
    error.message = fault.message or error.message
    return error


_RULES = {
    FaultKind.FILTERS: _change_filters,
    FaultKind.SYMBOL_STATUS: _show_status,
    FaultKind.MARKET_CLOSED: _close,
    FaultKind.TRADING_DISABLED: _disable,
}


def _error(fault: Fault, status: int, code: int, message: str) -> web.Response:
    return refusal_of(
        fault.status or status,
        fault.code if fault.code is not None else code,
        fault.message or message,
    )

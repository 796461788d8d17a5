"""How a fault disturbs one request: before it is carried out, while, and on the way back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aiohttp import web

from settlement.venues.paper.amounts import ONE
from settlement.venues.paper.errors import ServiceClosed, TooMuchWeight
from settlement.venues.paper.faults import Fault, FaultKind
from settlement.venues.paper.rest.replies import refusal, refusal_of, reply
from settlement.venues.paper.venue import Venue

Struck = Mapping[FaultKind, Fault]

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


def refusal_by_fault(struck: Struck) -> web.Response | None:
    """The answer to a request that a fault keeps from being executed."""
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
def thin_book(venue: Venue, fault: Fault | None) -> Iterator[None]:
    """While a request is carried out, every book offers only a part of its depth."""
    if fault is None:
        yield
        return
    for market in venue.engine.markets.values():
        market.depth_factor = fault.factor
    try:
        yield
    finally:
        for market in venue.engine.markets.values():
            market.depth_factor = ONE


def _error(fault: Fault, status: int, code: int, message: str) -> web.Response:
    return refusal_of(
        fault.status or status,
        fault.code if fault.code is not None else code,
        fault.message or message,
    )

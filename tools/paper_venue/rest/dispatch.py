"""From an HTTP request to a handler and back: limits, key, signature, timing, then the work, then the answer.

A handler runs without a pause between its first read and its last write, so requests are served one after another
as a matching engine serves them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from tools.paper_venue.errors import ApiError, NoSuchEndpoint, ParameterMissing
from tools.paper_venue.faults import Fault, FaultKind
from tools.paper_venue.odd_books import showing
from tools.paper_venue.rest.call import Call, Route, Security
from tools.paper_venue.rest.disturbance import (
    delay_request,
    lose_connection,
    other_rules,
    refusal_by_fault,
    spoil_reply,
)
from tools.paper_venue.rest.params import Params
from tools.paper_venue.rest.replies import refusal, refusal_of, reply
from tools.paper_venue.signing import check_signature, check_timing, find_credentials
from tools.paper_venue.venue import Venue

log = logging.getLogger(__name__)

AioHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(route: Route, venue: Venue, *, then: Callable[[], None]) -> AioHandler:
    """The aiohttp handler of one route; `then` is called once a request has been carried out."""

    async def handle(request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode("utf-8", "replace")
        faults = venue.faults.strike(method=request.method, path=request.path, now_ms=venue.clock_ms())
        await delay_request(venue, faults)
        if FaultKind.REQUEST_LOST in faults:
            return lose_connection(request)
        response = refusal_by_fault(faults, now_ms=venue.clock_ms())
        if response is None:
            response = answer(venue, route, request, body, faults)
            then()
        if fault := faults.get(FaultKind.REPLY_DELAY):
            await asyncio.sleep(fault.delay_seconds())
        if FaultKind.REPLY_LOST in faults:
            return lose_connection(request)
        return spoil_reply(response, faults)

    return handle


def answer(
    venue: Venue, route: Route, request: web.Request, body: str, faults: Mapping[FaultKind, Fault]
) -> web.Response:
    headers: dict[str, str] = {}
    try:
        call = admit(venue, route, request, body, headers)
        call.visible = venue.visible(stale=faults.get(FaultKind.STALE_READS), now_ms=call.now_ms)
        if FaultKind.PENDING_TRANSFERS in faults:
            call.transfer_status = "PENDING"
        call.can_trade = FaultKind.TRADING_DISABLED not in faults
        with showing(venue.engine.markets.values(), faults), other_rules(venue, faults):
            return reply(route.handler(call), headers={**headers, **call.headers})
    except ApiError as error:
        return refusal(error, headers=headers)
    except Exception:
        log.exception("request failed: %s %s", route.method, route.path)
        return refusal_of(500, ApiError.code, ApiError.message, headers=headers)


def admit(venue: Venue, route: Route, request: web.Request, body: str, headers: dict[str, str]) -> Call:
    """Check limits and identity; ``headers`` receives what the answer must carry in any case.

    Raises: ApiError.
    """
    now_ms = venue.clock_ms()
    query = request.raw_path.partition("?")[2]
    params = Params(query=query, body=body)
    address = request.remote or ""
    weight = route.weight_of(params)
    headers.update(venue.limits.spend(address=address, weight=weight, is_sapi=route.is_sapi, now_ms=now_ms))
    call = Call(venue=venue, params=params, now_ms=now_ms, visible=venue.state)
    if route.security is not Security.NONE:
        credentials = find_credentials(key=request.headers.get("X-MBX-APIKEY"), known=venue.credentials)
        call.account_name = credentials.account
        if route.security is Security.SIGNED:
            check_signed(params, query=query, body=body, secret=credentials.secret, now_ms=now_ms)
    return call


def check_signed(params: Params, *, query: str, body: str, secret: str, now_ms: int) -> None:
    """Raises: ApiError."""
    timestamp = params.integer("timestamp")
    if timestamp is None:
        raise ParameterMissing("timestamp")
    window = params.decimal("recvWindow")
    check_signature(query=query, body=body, signature=params.text("signature"), secret=secret)
    check_timing(timestamp_ms=timestamp, window_ms=window, now_ms=now_ms)


async def no_such_endpoint(request: web.Request) -> web.StreamResponse:
    return refusal(NoSuchEndpoint(), headers={})

"""The aiohttp application: every route of the dialect, and the loop that moves the markets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from aiohttp import web

from settlement.venues.paper.rest import absent, account, candles, control, market_data, trading, wallet
from settlement.venues.paper.rest.dispatch import no_such_endpoint, serve
from settlement.venues.paper.rest.replies import reply
from settlement.venues.paper.venue import Venue

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
ROUTES = [
    *market_data.ROUTES,
    *candles.ROUTES,
    *trading.ROUTES,
    *account.ROUTES,
    *wallet.ROUTES,
    *absent.ROUTES,
]


def make_app(venue: Venue) -> web.Application:
    app = web.Application()
    for route in ROUTES:
        app.router.add_route(route.method, route.path, serve(route, venue))
    control.add_routes(app, venue)
    app.router.add_get("/healthz", _health)
    app.router.add_route("*", "/{unknown:.*}", no_such_endpoint)
    app.cleanup_ctx.append(lambda _: _moving_markets(venue))
    return app


async def _health(request: web.Request) -> web.StreamResponse:
    return reply({"status": "ok"})


async def _moving_markets(venue: Venue) -> AsyncIterator[None]:
    task = asyncio.create_task(_move(venue))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    venue.close()


async def _move(venue: Venue) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        try:
            venue.tick()
        except Exception:
            log.exception("the markets could not be moved")

"""The aiohttp application: every route of the dialect, and the loop that moves the markets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from aiohttp import web

from tools.paper_venue.rest import absent, account, candles, control, market_data, trading, wallet
from tools.paper_venue.rest.dispatch import no_such_endpoint, serve
from tools.paper_venue.rest.replies import reply
from tools.paper_venue.streams.app import Streams
from tools.paper_venue.venue import Venue

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
    streams = Streams(venue)
    for route in [*ROUTES, *streams.routes]:
        app.router.add_route(route.method, route.path, serve(route, venue, then=streams.hub.publish))
    streams.add_routes(app)
    control.add_routes(app, venue)
    app.router.add_get("/healthz", _health)
    app.router.add_route("*", "/{unknown:.*}", no_such_endpoint)
    app.cleanup_ctx.append(lambda _: _moving_markets(venue, streams))
    return app


async def _health(request: web.Request) -> web.StreamResponse:
    return reply({"status": "ok"})


async def _moving_markets(venue: Venue, streams: Streams) -> AsyncIterator[None]:
    task = asyncio.create_task(_move(venue, streams))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    venue.close()


async def _move(venue: Venue, streams: Streams) -> None:
    """Often enough for who listens; requests move the market that they concern themselves."""
    while True:
        await asyncio.sleep(streams.push_every_seconds if streams.hub.has_topics else TICK_SECONDS)
        try:
            venue.tick()
            streams.hub.publish()
        except Exception:
            log.exception("the markets could not be moved")

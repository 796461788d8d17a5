"""The addresses of the streams, and what accepting a connection costs."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tools.paper_venue.errors import ListenKeyUnknown, TooMuchWeight
from tools.paper_venue.faults import FaultKind
from tools.paper_venue.rest.call import Call, Route, Security
from tools.paper_venue.rest.disturbance import delay_request, lose_connection, refusal_by_fault
from tools.paper_venue.rest.replies import refusal
from tools.paper_venue.streams.api_socket import ApiSession
from tools.paper_venue.streams.connection import Connection
from tools.paper_venue.streams.hub import Hub
from tools.paper_venue.streams.listen_keys import ListenKeys
from tools.paper_venue.streams.market_socket import MarketSession, names_of
from tools.paper_venue.venue import Venue


class Streams:
    """Everything that is pushed by one venue."""

    def __init__(self, venue: Venue) -> None:
        self.hub = Hub(venue)
        self.keys = ListenKeys(clock_ms=venue.clock_ms)
        self._venue = venue
        self._settings = venue.settings.connections

    @property
    def push_every_seconds(self) -> float:
        return self._settings.push_every_ms / 1000

    def add_routes(self, app: web.Application) -> None:
        for path in ("/ws", "/ws/", "/ws/{names:.+}", "/stream"):
            app.router.add_get(path, self._market)
        app.router.add_get("/ws-api/v3", self._api)

    @property
    def routes(self) -> list[Route]:
        """Listen keys, over REST."""
        path = "/api/v3/userDataStream"
        handlers = {"POST": self._open_key, "PUT": self._prolong_key, "DELETE": self._close_key}
        return [
            Route(method, path, handler, weight=2, security=Security.KEY)
            for method, handler in handlers.items()
        ]

    async def _market(self, request: web.Request) -> web.StreamResponse:
        if (refused := await self._refused(request)) is not None:
            return refused
        connection = self._connection()
        names, is_combined = names_of(request)
        session = MarketSession(connection, self.hub, self.keys, is_combined=is_combined)
        session.begin(names)
        try:
            return await connection.serve(request, session.answer)
        finally:
            session.end()

    async def _api(self, request: web.Request) -> web.StreamResponse:
        if (refused := await self._refused(request)) is not None:
            return refused
        connection = self._connection()
        session = ApiSession(connection, self.hub, self._venue)
        try:
            return await connection.serve(request, session.answer)
        finally:
            session.end()

    def _connection(self) -> Connection:
        return Connection(self._settings, clock_ms=self._venue.clock_ms)

    async def _refused(self, request: web.Request) -> web.StreamResponse | None:
        """Why there is no connection: a fault, or too many of them from this address."""
        venue = self._venue
        faults = venue.faults.strike(method=request.method, path=request.path, now_ms=venue.clock_ms())
        await delay_request(venue, faults)
        if FaultKind.REQUEST_LOST in faults:
            return lose_connection(request)
        if (by_fault := refusal_by_fault(faults, now_ms=venue.clock_ms())) is not None:
            return by_fault
        try:
            venue.limits.count_connection(
                address=request.remote or "",
                limit=self._settings.connections_per_5m,
                now_ms=venue.clock_ms(),
            )
        except TooMuchWeight as error:
            return refusal(error, headers={})
        return None

    def _open_key(self, call: Call) -> dict[str, Any]:
        call.params.finish()
        return {"listenKey": self.keys.open(call.account_name)}

    def _prolong_key(self, call: Call) -> dict[str, Any]:
        key = call.params.required("listenKey")
        call.params.finish()
        if not self.keys.prolong(key, call.account_name):
            raise ListenKeyUnknown
        return {}

    def _close_key(self, call: Call) -> dict[str, Any]:
        key = call.params.required("listenKey")
        call.params.finish()
        if not self.keys.close(key, call.account_name):
            raise ListenKeyUnknown
        return {}

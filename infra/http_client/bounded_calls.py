"""HTTP calls that end in time and at the host that was named: `requests` bounds each silence of the other side, not its
whole answer, and follows a redirect wherever it points.

A gateway that sends a byte now and then would keep a caller for as long as it likes, and the lock that it holds. One
that answers 307 would be sent our key and a signed order for another host.
"""

import socket
import threading
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from infra.http_client.deadlines import deadlines

Sockets = WeakSet[socket.socket]


class BoundedSession(requests.Session):
    """A session of one thread, each of whose calls lasts `within_seconds` at most: then its connection is cut.

    A call that is cut raises ReadTimeout, also after hearing something. A redirect is an answer like any other,
    never followed; neither proxies nor passwords (`.netrc`) are taken from the environment.
    """

    def __init__(self, *, within_seconds: float) -> None:
        super().__init__()
        self.trust_env = False
        self.within_seconds = within_seconds
        self._sockets: Sockets = WeakSet()
        self._is_late = threading.Event()  # the call that is under way
        for scheme in ("http://", "https://"):
            self.mount(scheme, _NotingAdapter(self._sockets, self._is_late))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send one request and read its answer."""
        self._is_late.clear()
        try:
            with deadlines.within(self.within_seconds, self._cut):
                response = super().send(request, **options)
        except requests.RequestException as error:
            if self._is_late.is_set() and not isinstance(error, requests.ConnectTimeout):
                raise self._timeout(request) from error
            raise
        if self._is_late.is_set():
            raise self._timeout(request)
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: `requests` asks this before it follows a redirect, also where `allow_redirects` is set."""

    def _cut(self) -> None:
        self._is_late.set()
        for each in list(self._sockets):
            _shut(each)

    def _timeout(self, request: requests.PreparedRequest) -> requests.ReadTimeout:
        return requests.ReadTimeout(f"no whole answer within {self.within_seconds:g} s", request=request)


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # past TLS, which would say goodbye first


class _NotingAdapter(HTTPAdapter):
    """Notes the sockets of its connections; they go from the set with the connection."""

    def __init__(self, sockets: Sockets, is_late: threading.Event) -> None:
        self._sockets = sockets
        self._is_late = is_late
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        sockets, is_late = self._sockets, self._is_late

        def note(connected: socket.socket) -> None:
            sockets.add(connected)
            if is_late.is_set():  # who cuts found no socket, and does not come again
                _shut(connected)

        class Connection(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                note(self.sock)

        class SecureConnection(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                note(self.sock)

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = SecureConnection

        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}

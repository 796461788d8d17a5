"""A paper venue as a real process, and a caller that signs by hand."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests

from tests.support import ending

ROOT = Path(__file__).resolve().parents[2]
KEY, SECRET = "paper-key", "paper-secret"
STARTS_WITHIN_SECONDS = 120.0
STOPS_WITHIN_SECONDS = 60.0


class VenueProcess:
    """One running venue and its address."""

    def __init__(self, *arguments: str, port: int = 0) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VENUE_")}
        environment.pop("MARKET_DATA", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.paper_venue", "--port", str(port), *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        # A venue that fails to start closes its stdout; one that hangs is killed and closes it too.
        killer = threading.Timer(STARTS_WITHIN_SECONDS, self.process.kill)
        killer.start()
        line = self.process.stdout.readline()
        killer.cancel()
        assert line, f"the venue did not start: {self.process.wait()}"
        self.started = json.loads(line)
        self.url = self.started["url"]

    def stop(self) -> int:
        """Ask it to stop, unless it has ended, and return its exit code."""
        assert self.process.stdout is not None
        try:
            return ending.end(self.process, within_seconds=STOPS_WITHIN_SECONDS)
        finally:
            self.process.stdout.close()

    def kill(self) -> None:
        assert self.process.stdout is not None
        try:
            ending.kill(self.process)
        finally:
            self.process.stdout.close()

    def state(self) -> dict[str, Any]:
        return requests.get(f"{self.url}/paper/state", timeout=10).json()

    def control(self, verb: str, endpoint: str, /, **described: Any) -> Any:
        answer = requests.request(verb, f"{self.url}/paper/{endpoint}", json=described or None, timeout=10)
        assert answer.ok, answer.text
        return answer.json()


@contextmanager
def running_venue(*arguments: str) -> Iterator[VenueProcess]:
    venue = VenueProcess(*arguments)
    try:
        yield venue
    finally:
        venue.stop()


def call(
    venue: VenueProcess,
    method: str,
    path: str,
    *,
    in_body: bool = False,
    key: str | None = KEY,
    secret: str = SECRET,
    timeout: float = 10,
    **params: Any,
) -> requests.Response:
    """Send a signed request, its parameters in the query or in the body."""
    sent = urlencode({"timestamp": time.time_ns() // 1_000_000, **params})
    sent += "&signature=" + hmac.new(secret.encode(), sent.encode(), hashlib.sha256).hexdigest()
    headers = {"X-MBX-APIKEY": key} if key is not None else {}
    if in_body:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return requests.request(method, venue.url + path, data=sent, headers=headers, timeout=timeout)
    return requests.request(method, f"{venue.url}{path}?{sent}", headers=headers, timeout=timeout)


def limit_ioc(client_order_id: str, **changed: Any) -> dict[str, Any]:
    """Parameters of a limit order that takes at any price near the market."""
    return {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "0.01",
        "price": "99000",
        "newClientOrderId": client_order_id,
        **changed,
    }

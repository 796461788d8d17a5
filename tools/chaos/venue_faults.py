"""The paper venue's own faults, switched on and off through its control endpoints."""

import time
from typing import Any

import requests

from chaos.injections import Injection

TIMEOUT_SECONDS = 3.0
CLEARED_WITHIN_SECONDS = 30.0
ORDERS = {"path": "/api/v3/order$", "method": "POST"}
TRANSFERS = {"path": "/sapi/v1/asset/transfer$", "method": "POST"}

# By name; the kinds are those of docs/paper-venue.md.
FAULTS: dict[str, dict[str, Any]] = {
    "latency": {"kind": "latency", "delay_ms": 200, "jitter_ms": 2000, "probability": 0.5},
    "late-replies": {"kind": "reply_delay", "delay_ms": 6000, "probability": 0.2},
    "lost-requests": {"kind": "request_lost", "probability": 0.3},
    "lost-replies": {"kind": "reply_lost", "probability": 0.3},
    "lost-transfers": {"kind": "reply_lost", "probability": 0.7, **TRANSFERS},
    "errors-before": {"kind": "error_before", "probability": 0.3},
    "errors-after": {"kind": "error_after", "probability": 0.3},
    "empty-bodies": {"kind": "empty_body", "probability": 0.3},
    "empty-objects": {"kind": "empty_object", "probability": 0.3},
    "cut-bodies": {"kind": "cut_body", "probability": 0.3},
    "rate-limits": {"kind": "rate_limit", "probability": 0.1, "retry_after_seconds": 2},
    "bans": {"kind": "rate_limit", "status": 418, "probability": 0.05, "retry_after_seconds": 4},
    "maintenance": {"kind": "maintenance"},
    "stale-reads": {"kind": "stale_reads", "lag_ms": 3000},
    "pending-transfers": {"kind": "pending_transfers"},
    "thin-book": {"kind": "thin_book", "factor": "0.001"},
    "no-funds": {
        "kind": "error_before",
        "status": 400,
        "code": -2010,
        "probability": 0.3,
        **ORDERS,
        "message": "Account has insufficient balance for requested action.",
    },
}


class VenueFault:
    """One fault of the venue at `url`."""

    def __init__(self, name: str, url: str) -> None:
        self.name = f"fault:venue-{name}"
        self._description = FAULTS[name]
        self._faults = f"{url.rstrip('/')}/paper/faults"
        self._id: int | None = None

    def begin(self, seed: int) -> None:
        """Switch it on. Raises: requests.RequestException."""
        body = {**self._description, "seed": seed}
        answer = _request("POST", self._faults, json=body)
        self._id = _fault_id(answer.json())

    def end(self) -> None:
        """Switch it off; a venue that was restarted has forgotten it. Raises: requests.RequestException."""
        if self._id is None:
            return
        answer = _request("DELETE", f"{self._faults}/{self._id}", accepted=(404,))
        answer.close()
        self._id = None


def venue_injections(url: str) -> list[Injection]:
    """All faults, if the venue at `url` is one that can be told to have them."""
    try:
        _request("GET", f"{url.rstrip('/')}/paper/faults")
    except requests.RequestException:
        return []
    return [VenueFault(name, url) for name in FAULTS]


def clear(url: str) -> None:
    """Switch every fault off, as soon as the venue answers. Raises: requests.RequestException."""
    deadline = time.monotonic() + CLEARED_WITHIN_SECONDS
    while True:
        try:
            _request("DELETE", f"{url.rstrip('/')}/paper/faults")
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def _fault_id(answer: Any) -> int:
    [fault] = answer if isinstance(answer, list) else [answer]
    return int(fault["fault_id"])


def _request(method: str, url: str, *, accepted: tuple[int, ...] = (), **body: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, url, timeout=TIMEOUT_SECONDS, **body)
    if answer.status_code not in accepted:
        answer.raise_for_status()
    return answer

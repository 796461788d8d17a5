"""The desk's HTTP client of counter's internal API: pull what is unacknowledged, acknowledge, report, tell.

Every call is bounded in time, signed, and safe to repeat: counter takes each message once.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
import requests
import structlog
from django.conf import settings
from msgspec import structs

from counter.contracts import (
    DESK_TAG,
    Acknowledgement,
    ClearingAnswer,
    ClearingPaid,
    ClearingSums,
    CoinCondition,
    DeskConditions,
    HighestOrder,
    OrderHistory,
    SettlementAnswer,
    SettlementBatch,
    SettlementReport,
    SyncBatch,
    SyncEvent,
    decode,
    encode,
)
from infra.coordination import clock
from infra.http_client import signatures
from infra.http_client.bounded_calls import BoundedSession

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = (1.0, 10.0)  # to connect, to begin to answer
CALL_SECONDS = 15.0  # to its end


class CounterError(Exception):
    """A call to counter that did not succeed."""


class CounterUnavailable(CounterError):
    """No answer, or one of the 5xx kind: the same call may be made again."""


class CounterFailed(CounterUnavailable):
    """An answer of 500: an error of counter's own, for which one entry of the message may be to blame."""


class CounterRefused(CounterError):
    """A 4xx answer, a redirect, or one that cannot be read: a person has to look."""


class ContentRefused(CounterRefused):
    """Counter cannot take the message as it is: something in it is wrong, or it is too large."""


_CONTENT_STATUS = frozenset({400, 413, 422})
_local = threading.local()


def pull(*, min_age_ms: int, limit: int, after_id: int = 0) -> list[SyncEvent]:
    """Orders that counter has committed at least `min_age_ms` ago and that the desk has not acknowledged, oldest first.

    `after_id` is the last order of the page before this one, 0 for the first page.

    Raises: CounterUnavailable, CounterRefused.
    """
    body = _call(
        "GET", "sync-orders", params={"min_age_ms": min_age_ms, "limit": limit, "after_id": after_id}
    )
    return _decoded(body, SyncBatch).events


def order_history(*, after_id: int, limit: int) -> OrderHistory:
    """The next orders after one by their ids, acknowledged or not, with the settlements that counter has taken of them.

    Raises: CounterUnavailable, CounterRefused.
    """
    body = _call("GET", "order-history", params={"after_id": after_id, "limit": limit})
    return _decoded(body, OrderHistory)


def acknowledge(order_ids: Sequence[int]) -> None:
    """Tell counter that these orders are stored durably.

    Raises: CounterUnavailable, CounterRefused.
    """
    message = Acknowledgement(source=settings.COUNTER_SOURCE, order_ids=list(order_ids))
    _call("POST", "sync-orders/ack", data=encode(message))


def may_be_of_one(error: Exception) -> bool:
    """Whether one entry of the message that was sent may be to blame: without it the others may be taken."""
    return isinstance(error, (ContentRefused, CounterFailed))


def report(reports: Sequence[SettlementReport]) -> SettlementAnswer:
    """Hand settlements to counter, which pays and records each once.

    Raises: CounterUnavailable, CounterRefused.
    """
    message = SettlementBatch(source=settings.COUNTER_SOURCE, reports=list(reports))
    return _decoded(_call("POST", "settlements", data=encode(message)), SettlementAnswer)


def tell_conditions(coins: Sequence[CoinCondition], *, as_of: datetime) -> None:
    """Tell counter how each coin stands at the desk; what is older than what it heard before is passed over there.

    Times are the desk's, and are told by counter's clock as far as that is known.

    Raises: CounterUnavailable, CounterRefused.
    """

    def message() -> bytes:
        told = [
            structs.replace(
                coin,
                venue_halted_since=_clock.counters(coin.venue_halted_since),
                doubtful_since=_clock.counters(coin.doubtful_since),
            )
            for coin in coins
        ]
        source, at = settings.COUNTER_SOURCE, as_of + _clock.ahead_by
        return encode(DeskConditions(source=source, as_of=at, coins=told))

    _call("POST", "conditions", body=message)


def tell_highest_order(order_id: int) -> None:
    """Tell counter the highest order id that the desk has held; its next orders get higher ones.

    Raises: CounterUnavailable, CounterRefused.
    """
    message = HighestOrder(source=settings.COUNTER_SOURCE, order_id=order_id)
    _call("POST", "order-ids", data=encode(message))


def clearing(*, after_id: int, placed_before: datetime, width: int, runs: int) -> ClearingSums:
    """Counter's clearing by runs of `width` order ids, after one order and up to a moment; `runs` at most.

    Raises: CounterUnavailable, CounterRefused.
    """
    asked = {"after_id": after_id, "placed_before": placed_before.isoformat(), "width": width, "runs": runs}
    return _decoded(_call("GET", "clearing", params=asked), ClearingSums)


def reach() -> None:
    """Connect to counter, so that the first report does not have to. Raises: CounterUnavailable."""
    try:
        _session().get(f"{settings.COUNTER_URL.rstrip('/')}/healthz", timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise CounterUnavailable(f"GET healthz: {error}") from error


def pay_clearing(message: ClearingPaid) -> ClearingAnswer:
    """Have counter book a payment, once for its reference; what it has made of it, now or before.

    Raises: CounterUnavailable, CounterRefused.
    """
    return _decoded(_call("POST", "clearing-payments", data=encode(message)), ClearingAnswer)


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return decode(body, kind)
    except msgspec.DecodeError as error:
        raise CounterRefused(f"unreadable answer: {error}") from error


def _session() -> requests.Session:
    if not hasattr(_local, "session"):
        _local.session = BoundedSession(within_seconds=CALL_SECONDS)
        _local.session.headers["Content-Type"] = "application/json"
        _local.session.auth = _sign
    return _local.session


class _Clock:
    """Counter's time as far as this process knows it: signatures have to fit it, not the desk's clock."""

    ahead_by = timedelta(0)

    def now(self) -> datetime:
        return clock.of("desk").now() + self.ahead_by

    def counters(self, at: datetime | None) -> datetime | None:
        """A time of the desk's clock by counter's."""
        return None if at is None else at + self.ahead_by

    def learn(self, response: requests.Response) -> bool:
        """Take counter's time from an answer that refuses ours; whether it was one."""
        if response.status_code != 401:
            return False
        try:
            told = msgspec.json.decode(response.content, type=_Refusal).error
        except msgspec.DecodeError:
            return False
        if told.code != "signature_expired" or told.detail is None:
            return False
        self.ahead_by = told.detail.now - clock.of("desk").now()
        log.warning("clock differs from counter's", counter_ahead_seconds=self.ahead_by.total_seconds())
        return True


class _CounterTime(msgspec.Struct):
    now: Annotated[datetime, msgspec.Meta(tz=True)]


class _Expired(msgspec.Struct):
    code: str
    detail: _CounterTime | None = None


class _Refusal(msgspec.Struct):
    error: _Expired


_clock = _Clock()


def _sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign each request for itself, also the same one sent again."""
    body = request.body or b""
    signatures.sign(
        request,
        keys=signatures.keys_of(settings.SERVICE_KEY),
        tag=DESK_TAG,
        body=body if isinstance(body, bytes) else body.encode(),
        now=_clock.now(),
    )
    return request


def _call(method: str, path: str, *, body: Callable[[], bytes] | None = None, **request: Any) -> bytes:
    """`body` is made anew for each try: the second one knows counter's clock."""

    def send() -> requests.Response:
        return _sent(method, path, **request, **({"data": body()} if body else {}))

    response = send()
    if _clock.learn(response):
        response = send()
    if response.status_code >= 500 or response.status_code == 429:
        unavailable = CounterFailed if response.status_code == 500 else CounterUnavailable
        raise unavailable(f"{method} {path}: {response.status_code}")
    if response.status_code != 200:
        refused = ContentRefused if response.status_code in _CONTENT_STATUS else CounterRefused
        raise refused(f"{method} {path}: {response.status_code} {response.text[:200]}")
    return response.content


def _sent(method: str, path: str, **request: Any) -> requests.Response:
    url = f"{settings.COUNTER_URL.rstrip('/')}/internal/v1/{path}"
    try:
        return _session().request(method, url, timeout=TIMEOUT_SECONDS, **request)
    except requests.RequestException as error:
        raise CounterUnavailable(f"{method} {path}: {error}") from error

"""Who listens at this process, within limits, and what is handed on to them. Used on the event loop only."""

from collections import Counter
from collections.abc import Iterable

import structlog

from counter.api.errors import ApiError
from counter.limits.reached import Reached
from counter.stream.listener import Listener
from counter.stream.reader import Piece
from counter.stream.stream_processes import Counts

log = structlog.get_logger(__name__)

MAX_LISTENERS = 5000
MAX_LISTENERS_OF_CUSTOMER = 10


class Hub:
    """The listeners of this process, and how much it has done since it started."""

    def __init__(self) -> None:
        self.is_retiring = False
        self.opened = self.events = 0
        self.ends: Counter[str] = Counter()
        self._listeners: set[Listener] = set()
        self._of_customer: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._listeners)

    def counts(self) -> Counts:
        """How it does; may be asked by any thread."""
        return Counts(
            listeners=len(self._listeners),
            customers=len(self._of_customer),
            opened=self.opened,
            events=self.events,
            too_slow=self.ends["too_slow"],
            revoked=self.ends["revoked"],
        )

    def enter(self, listener: Listener) -> None:
        """Take somebody in. Raises: ApiError when the house is full, or its customer's share of it."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise ApiError("overloaded", f"{MAX_LISTENERS} listen here already")
        if self._of_customer[listener.customer_id] >= MAX_LISTENERS_OF_CUSTOMER:
            raise ApiError(
                "too_many_streams",
                f"at most {MAX_LISTENERS_OF_CUSTOMER} at once",
                Reached("streams", left=0, limit=MAX_LISTENERS_OF_CUSTOMER),
            )
        self._listeners.add(listener)
        self._of_customer[listener.customer_id] += 1
        self.opened += 1
        if self.is_retiring:
            listener.end("restarting")

    def leave(self, listener: Listener) -> None:
        """It has gone, or was let go."""
        self._listeners.discard(listener)
        self._of_customer[listener.customer_id] -= 1
        if not self._of_customer[listener.customer_id]:
            del self._of_customer[listener.customer_id]
        reason = listener.reason or "gone"
        self.ends[reason] += 1
        if reason in ("too_slow", "revoked"):
            log.info("listener cut off", customer=listener.customer_id, reason=reason)

    def deliver(self, pieces: Iterable[Piece]) -> None:
        """Hand on what the reader found."""
        for listener, piece in pieces:
            if piece is None:
                listener.end("revoked")
            elif listener.put(piece):
                self.events += 1

    def retire(self) -> None:
        """Let everybody go, to come again elsewhere."""
        self.is_retiring = True
        log.info("listeners are sent elsewhere", listeners=len(self))
        for listener in list(self._listeners):
            listener.end("restarting")

"""The client: non-blocking sockets and epoll in one thread, one request under way on each connection.

A customer's requests all go over one connection, so that they arrive in the order in which they were made.
"""

import resource
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tools.bench.load.counts import Counts, percentile
from tools.bench.load.job import Job, Outcome
from tools.bench.load.wire import AnswerReader

READ_BYTES = 256 * 1024
LONGEST_WAIT_SECONDS = 0.05
SOURCES = 16  # addresses that customers come from; of each a web process bears 100 slow connections


@dataclass(slots=True)
class Request:
    """One request's bytes; `due_at` in seconds after the start."""

    wire: bytes
    orders: int
    connection: int
    due_at: float = 0.0


@dataclass(slots=True, eq=False)
class Connection:
    """A socket, the requests that wait for it and the one that it is busy with."""

    sock: socket.socket
    reader: AnswerReader = field(default_factory=AnswerReader)
    waiting: deque[Request] = field(default_factory=deque)
    busy_with: Request | None = None
    unsent: bytes | memoryview = b""


class Client:
    """Sends the requests of one job and counts what comes back."""

    def __init__(self, job: Job, requests: Sequence[Request]) -> None:
        self.job = job
        self.counts = Counts()
        self.offered = self.unanswered = 0
        self.ran_dry = False
        self._due = deque(requests if job.rate else ())
        self._address = (urlsplit(job.url).hostname or "", urlsplit(job.url).port or 80)
        self._epoll = select.epoll()
        self._connections = [Connection(self._connected(number)) for number in range(job.connections)]
        self._by_descriptor: dict[int, Connection] = {}
        for connection in self._connections:
            self._register(connection)
        if not job.rate:
            for request in requests:
                self._connections[request.connection].waiting.append(request)
        self._busy = 0
        self._started_at = 0.0
        self._stop_at = job.warm_up_seconds + job.seconds
        self._cpu_at_start = self._cpu_seconds = 0.0

    def run(self) -> Outcome:
        """Send everything that is due in time, and wait for the answers as long as the job has patience."""
        self._started_at = time.perf_counter()
        self._cpu_at_start = _cpu_seconds()
        if not self.job.rate:
            for connection in self._connections:
                self._next(connection)
        give_up_at = self._stop_at + self.job.patience_seconds
        while (now := self._now()) < give_up_at and (now < self._stop_at or self._busy or self._queued()):
            self._note_cpu(now)
            self._hand_out(now)
            for descriptor, events in self._epoll.poll(self._wait_seconds(now)):
                self._serve(self._by_descriptor[descriptor], events)
        self.unanswered += sum(
            request.orders
            for connection in self._connections
            for request in (connection.busy_with, *(connection.waiting if self.job.rate else ()))
            if request is not None
        )
        self._epoll.close()
        for connection in self._connections:
            connection.sock.close()
        return self._outcome()

    def _outcome(self) -> Outcome:
        counts, measured = self.counts, self.job.seconds
        p50, p99 = (percentile(counts.seconds, share) for share in (0.50, 0.99))
        return Outcome(
            offered=self.offered,
            accepted=counts.accepted,
            unavailable=counts.unavailable,
            refused=counts.refused,
            unanswered=self.unanswered,
            refused_by_code=counts.codes(),
            orders_per_s=round(counts.accepted_in_time / measured, 1),
            p50_ms=None if p50 is None else round(p50 * 1000, 2),
            p99_ms=None if p99 is None else round(p99 * 1000, 2),
            seconds=self._stop_at,
            client_cpu_seconds=round(self._cpu_seconds, 3),
            client_cpu_share=round(self._cpu_seconds / self._stop_at, 3),
            ran_dry=self.ran_dry,
        )

    def _now(self) -> float:
        return time.perf_counter() - self._started_at

    def _queued(self) -> bool:
        return bool(self.job.rate) and (
            bool(self._due) or any(connection.waiting for connection in self._connections)
        )

    def _note_cpu(self, now: float) -> None:
        if now < self._stop_at:
            self._cpu_seconds = _cpu_seconds() - self._cpu_at_start

    def _wait_seconds(self, now: float) -> float:
        until = self._due[0].due_at - now if self._due else LONGEST_WAIT_SECONDS
        return min(max(until, 0.0), LONGEST_WAIT_SECONDS)

    def _hand_out(self, now: float) -> None:
        """Give each request that is due to its connection (open loop)."""
        while self._due and self._due[0].due_at <= now:
            request = self._due.popleft()
            connection = self._connections[request.connection]
            self.offered += request.orders
            connection.waiting.append(request)
            if connection.busy_with is None:
                self._next(connection)

    def _next(self, connection: Connection) -> None:
        """Begin with the connection's next request, if there is one and it is not too late for it."""
        if not self.job.rate and self._now() >= self._stop_at:
            return
        if not connection.waiting:
            self.ran_dry = self.ran_dry or not self.job.rate
            return
        request = connection.waiting.popleft()
        if not self.job.rate:
            self.offered += request.orders
            request.due_at = self._now()
        connection.busy_with = request
        self._busy += 1
        connection.unsent = memoryview(request.wire)
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        try:
            sent = connection.sock.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose(connection)
            return
        was_whole = len(connection.unsent) == len(connection.busy_with.wire) if connection.busy_with else True
        connection.unsent = connection.unsent[sent:]
        if connection.unsent:
            self._epoll.modify(connection.sock, select.EPOLLIN | select.EPOLLOUT)
        elif not was_whole:
            self._epoll.modify(connection.sock, select.EPOLLIN)

    def _serve(self, connection: Connection, events: int) -> None:
        if events & select.EPOLLOUT and connection.unsent:
            self._send(connection)
        if events & ~select.EPOLLOUT:
            self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        request = connection.busy_with
        if not data or request is None:
            self._lose(connection)
            return
        answer = connection.reader.feed(data)
        if answer is None:
            return
        now = self._now()
        in_time = self.job.warm_up_seconds <= now <= self._stop_at
        # An open loop's late answers are the slowest ones: they belong to its percentiles, not to its rate.
        timed = in_time or bool(self.job.rate)
        self.counts.add(
            answer, orders=request.orders, seconds=now - request.due_at, in_time=in_time, timed=timed
        )
        connection.busy_with = None
        self._busy -= 1
        self._next(connection)

    def _lose(self, connection: Connection) -> None:
        """The server closed the connection: what became of its request nobody knows. Go on with a new one."""
        if connection.busy_with is not None:
            self.unanswered += connection.busy_with.orders
            connection.busy_with = None
            self._busy -= 1
        del self._by_descriptor[connection.sock.fileno()]
        connection.sock.close()
        connection.sock = self._connected(self._connections.index(connection))
        connection.reader = AnswerReader()
        connection.unsent = b""
        self._register(connection)
        self._next(connection)

    def _connected(self, number: int) -> socket.socket:
        """A new connection, from one of several addresses: all from one would be more than a client is granted."""
        source = (f"127.0.0.{2 + number % SOURCES}", 0) if self._address[0] == "127.0.0.1" else None
        sock = socket.create_connection(
            self._address, timeout=self.job.patience_seconds, source_address=source
        )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        return sock

    def _register(self, connection: Connection) -> None:
        self._by_descriptor[connection.sock.fileno()] = connection
        self._epoll.register(connection.sock, select.EPOLLIN)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

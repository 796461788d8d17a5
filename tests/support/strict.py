"""A client that keeps its connections and forgives nothing."""

import http.client
import json
import threading
from collections import Counter

SOON = 60.0
CREATED = 201


class Strict:
    """A client that sends order after order over one connection until it is told to close it, and never sends twice."""

    def __init__(
        self, number: int, port: int, token: str, symbol: str, *, keeps: bool, pause_seconds: float = 0.05
    ) -> None:
        self.answers: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self.failures: list[str] = []
        self.closed = 0
        self._number, self._port, self._symbol, self._keeps = number, port, symbol, keeps
        self._pause_seconds = pause_seconds
        self._headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(SOON)

    def _run(self) -> None:
        connection, sent = None, 0
        while not self._stopping.wait(self._pause_seconds):
            sent += 1
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=SOON)
                connection.request("POST", "/api/v1/orders", json.dumps(self._order(sent)), self._headers)
                answer = connection.getresponse()
                body = answer.read()
                self.answers[answer.status] += 1
                if answer.status != CREATED:
                    self.refused[body.decode()] += 1
                self.closed += answer.will_close
                if not answer.will_close and self._keeps:
                    continue
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            if connection is not None:
                connection.close()
            connection = None
        if connection is not None:
            connection.close()

    def _order(self, sent: int) -> dict[str, object]:
        return {
            "type": "open",
            "client_order_id": f"strict-{self._number}-{sent}",
            "symbol": self._symbol,
            "contracts": 1,
        }

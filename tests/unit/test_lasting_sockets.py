"""When the master of a server tells an old process to end."""

import threading
from typing import Any

import pytest
from granian.server.mp import MPServer

from infra.http_server import serving
from infra.http_server.lasting_sockets import LastingSocketsServer

LONG, SHORT = 60.0, 0.3


class Process:
    """One that serves, as its master sees it."""

    def __init__(self, serves: Any = None) -> None:
        self.alive = True
        self.ended_once_served: bool | None = None
        self.serves = serves

    def is_alive(self) -> bool:
        return self.alive

    def terminate(self) -> None:
        self.ended_once_served = self.serves.is_set()


@pytest.fixture
def replace(monkeypatch):
    """Have a master replace its one process, with what the new one does once it is there; the old one."""

    def respawn(self: Any, workers: Any, target: Any, loader: Any) -> None:
        old, new = self.wrks[0], Process()
        old.serves = self._serves = serving.expect()
        self.wrks[0] = new
        target(new)
        old.terminate()

    def replaced(*, new_one: Any, delay: float, interrupted: bool = False) -> Process:
        server = LastingSocketsServer.__new__(LastingSocketsServer)
        old = Process()
        server.wrks, server.interrupt_signal = [old], interrupted  # type: ignore[list-item]
        server._respawn_workers([0], new_one, None, delay)
        return old

    monkeypatch.setattr(MPServer, "_respawn_workers", respawn)
    return replaced


def test_an_old_process_ends_when_the_new_one_serves(replace):
    old = replace(new_one=lambda new: threading.Timer(SHORT, serving.tell).start(), delay=LONG)
    assert old.ended_once_served


def test_an_old_process_ends_in_the_end_if_the_new_one_never_serves(replace):
    assert replace(new_one=lambda new: None, delay=SHORT).ended_once_served is False


def test_a_new_process_that_has_died_is_not_waited_for(replace):
    def dies(new: Process) -> None:
        new.alive = False

    assert replace(new_one=dies, delay=LONG).ended_once_served is False


def test_a_master_that_is_told_to_end_replaces_nothing_any_more(replace):
    assert replace(new_one=lambda new: None, delay=LONG, interrupted=True).ended_once_served is None


def test_a_process_that_no_master_expects_tells_nobody(monkeypatch):
    monkeypatch.setattr(serving, "_told", None)
    serving.tell()

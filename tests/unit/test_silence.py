"""Asking after a server that says nothing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from infra.db.engine import silence
from infra.db.engine.asking import Host


def test_asking_after_a_host_that_is_there_does_not_wait_for_one_that_is_not(monkeypatch):
    asked, answered = threading.Event(), threading.Event()

    def is_there(host):
        if host.name == "lost":
            asked.set()
            answered.wait(60)
        return host.name != "lost"

    monkeypatch.setattr(silence, "is_there", is_there)
    hosts, now = silence._Asked(), time.monotonic()
    with ThreadPoolExecutor(2) as threads:
        try:
            lost = threads.submit(hosts.is_there, Host("lost", 5432), since=now)
            assert asked.wait(60)
            assert threads.submit(hosts.is_there, Host("well", 5432), since=now).result(30)
        finally:
            answered.set()
        assert not lost.result(60)

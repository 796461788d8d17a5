"""A feed that leads while its writes fail: it asks its sources no more often for long, and tells of it once."""

import threading
from datetime import datetime

import pytest
import structlog
from django.db import connections

from counter.market import feed, outage
from counter.market.index import Index
from counter.models import TradingStatus
from infra.coordination.leadership import Term
from tests.support.databases import failover
from tests.support.index_sources import WrittenSource
from tests.support.standing import Paused
from tests.support.streaming import until

pytestmark = pytest.mark.django_db(transaction=True)

AWAY_SECONDS = 4.0


class Counted(WrittenSource):
    """Counts how often it is asked."""

    asked = 0

    def ask(self, *, now: datetime) -> None:
        self.asked += 1
        super().ask(now=now)


def quote(index: Index, stopping: threading.Event, term: Term) -> None:
    feed._quote_on(index, [], stopping, term)
    connections.close_all()


def test_a_lasting_outage_is_met_at_the_usual_pace_and_told_once(settings, monkeypatch):
    monkeypatch.setattr(outage, "AGAIN_FOR_SECONDS", 1.0)
    settings.QUOTE_EVERY_SECONDS = 1.0
    source, stopping = Counted(), threading.Event()

    with Paused("feed") as paused, structlog.testing.capture_logs() as lines:
        quoting = threading.Thread(target=quote, args=[Index([source]), stopping, paused.term])
        quoting.start()
        try:
            until(lambda: TradingStatus.objects.filter(underlying="BTC").exists())
            with failover("default") as [host]:
                host.end_sessions()
                before = source.asked
                stopping.wait(AWAY_SECONDS)
                asked = source.asked - before
                events = [line["event"] for line in lines]
                host.over()
            until(lambda: "coins judged again" in [line["event"] for line in lines])
        finally:
            stopping.set()
            for thread in [quoting, *(each for each in threading.enumerate() if each.name == "desk load")]:
                thread.join()
    fast, usual = 1.0 / outage.AGAIN_AFTER_SECONDS, AWAY_SECONDS - 1.0
    assert 2 <= asked <= fast + usual + 2
    assert events.count("coins not judged") == 1
    assert "books not measured" not in events
    assert "series not measured" not in events


def test_the_first_ten_seconds_are_fast_and_each_outage_begins_anew():
    found = outage.Outage()
    for at in (100.0, 105.0, 109.9):
        found.note(away=True, at=at)
        assert found.next_after(1.0, at=at) == outage.AGAIN_AFTER_SECONDS
    found.note(away=True, at=110.0)
    assert found.next_after(1.0, at=110.0) == 1.0
    found.note(away=False, at=111.0)
    assert (found.lasts, found.next_after(1.0, at=111.0)) == (False, 1.0)
    found.note(away=True, at=112.0)
    assert found.lasts
    assert found.next_after(0.1, at=112.0) == 0.1

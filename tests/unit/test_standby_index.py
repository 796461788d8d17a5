"""A feed that stands by keeps its sources ready, so that its first tick has a price."""

from datetime import UTC, datetime

from counter.market import index as module
from counter.market.index import Index
from tests.support.index_sources import WrittenSource

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Counted(WrittenSource):
    """Counts the questions."""

    asked = 0

    def ask(self, *, now):
        self.asked += 1
        super().ask(now=now)


def test_sources_are_asked_at_once_and_then_now_and_then(monkeypatch):
    moment = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: moment[0])
    sources = [Counted("one"), Counted("two")]
    index = Index(sources)
    for seconds in (0.0, 0.2, module.WARM_EVERY_SECONDS - 0.3):
        moment[0] += seconds
        index.stay_warm(now=NOW)
    assert [source.asked for source in sources] == [1, 1]
    moment[0] += 0.2
    index.stay_warm(now=NOW)
    assert [source.asked for source in sources] == [2, 2]


def test_what_a_standby_was_told_is_no_price():
    source = WrittenSource()
    index = Index([source])
    index.stay_warm(now=NOW)
    source.silent = True
    later = NOW.replace(minute=1)
    reading = index.read(now=later)
    assert reading.prices == {}

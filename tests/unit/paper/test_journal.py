"""The journal keeps whole events and survives a torn last line."""

from decimal import Decimal

import pytest

from tools.paper_venue.journal import Journal, JournalDamaged, JournalInUse, read_events
from tools.paper_venue.records import Funded, PriceMarked, Wallet

EVENTS = [
    Funded("alice", Wallet.SPOT, "USDT", Decimal("1000.50000001"), 1),
    PriceMarked("BTCUSDT", Decimal("90000.005")),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, with_fsync=True)
    for event in EVENTS:
        journal.append(event)
    journal.close()
    return path


def test_events_come_back_as_they_were(path):
    assert list(read_events(path)) == EVENTS


def test_a_line_torn_at_any_byte_is_dropped_and_written_over(path):
    whole = path.read_bytes()
    first_end = whole.index(b"\n") + 1
    for length in range(first_end, len(whole)):
        path.write_bytes(whole[:length])
        assert list(read_events(path)) == EVENTS[:1]
        journal = Journal(path)
        journal.append(EVENTS[1])
        journal.close()
        assert path.read_bytes() == whole


def test_a_damaged_line_is_told_and_not_skipped(path):
    path.write_bytes(path.read_bytes().replace(b"Funded", b"Fundet"))
    with pytest.raises(JournalDamaged, match="line 1"):
        list(read_events(path))


def test_two_venues_never_write_one_journal(path):
    journal = Journal(path)
    with pytest.raises(JournalInUse):
        Journal(path)
    journal.close()
    Journal(path).close()

"""One venue process for the tests that leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.support.paper_process import VenueProcess, running_venue

AMPLE = ("--weight-per-minute", "1000000", "--orders-per-10s", "100000", "--seed", "5")


@pytest.fixture(scope="session")
def shared_venue() -> Iterator[VenueProcess]:
    with running_venue(*AMPLE) as venue:
        yield venue


@pytest.fixture
def venue(shared_venue: VenueProcess) -> Iterator[VenueProcess]:
    """The shared venue with BTC pinned at 90,000 and no fault left behind."""
    shared_venue.control("POST", "price", symbol="BTCUSDT", price="90000")
    yield shared_venue
    shared_venue.control("DELETE", "faults")

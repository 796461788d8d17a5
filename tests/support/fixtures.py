"""Fixtures of `tests.support`; see the package's docstring. Django is imported late: this loads before its set-up."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.venue import PaperVenue

if TYPE_CHECKING:
    from settlement.venues.ccxt_venue import CcxtVenue


@pytest.fixture(scope="session")
def paper_venue() -> Iterator[PaperVenue]:
    """The paper venue's process of this worker, started by the first test that needs one."""
    venue = PaperVenue.start()
    yield venue
    venue.stop()


@pytest.fixture
def venue_account(paper_venue: PaperVenue) -> tuple[str, str, str]:
    """Name, key and secret of this test's account at the paper venue."""
    return paper_venue.next_account()


def account_of(paper_venue: PaperVenue, account: tuple[str, str, str] | None = None) -> "CcxtVenue":
    """The real adapter on one account of the paper venue, a fresh one unless told."""
    from settlement.venues.ccxt_venue import CcxtVenue

    _, key, secret = account or paper_venue.next_account()
    return CcxtVenue(
        client="binance", url=paper_venue.url, api_key=key, api_secret=secret, timeout_seconds=3.0
    )


@pytest.fixture
def venue(paper_venue: PaperVenue, venue_account: tuple[str, str, str]) -> "Iterator[CcxtVenue]":
    """The real adapter on this test's own account; faults and pinned prices end with the test."""
    yield account_of(paper_venue, venue_account)
    paper_venue.clear_faults()
    for symbol in ("BTCUSDT", "ETHUSDT", "BNBUSDT"):
        paper_venue.set_price(symbol, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the users of `two_systems` early: pytest-django sets up what the collected tests are marked with."""
    for item in items:
        if "two_systems" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.django_db(transaction=True, databases=["default", "desk"]))


@pytest.fixture
def two_systems(transactional_db: None, broker_url: str, venue: "CcxtVenue") -> None:
    """Both databases with real commits, the broker, and the desk's books opened with what `venue` holds."""
    from django.utils import timezone

    from settlement import treasury

    treasury.open_books(venue=venue, now=timezone.now())

"""The desk alone, with real commits; see `tests.support.desk_bench`.

Django is imported late: this may load before its set-up.
"""

from typing import TYPE_CHECKING

import pytest

from tests.support.venue import PaperVenue

if TYPE_CHECKING:
    from settlement.venues.ccxt_venue import CcxtVenue
    from tests.support.desk_bench import Desk


@pytest.fixture
def desk(
    transactional_db: None,
    broker_url: str,
    venue: "CcxtVenue",
    paper_venue: PaperVenue,
    venue_account: tuple[str, str, str],
) -> "Desk":
    """A desk with an account of its own at the paper venue, its books open."""
    from django.utils import timezone

    from settlement import treasury
    from tests.support.desk_bench import Desk

    made = Desk(venue, paper_venue, venue_account[0])
    treasury.open_books(venue=made.venue, now=timezone.now())
    return made

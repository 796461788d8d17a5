"""A history that is all in order, counter behind its own HTTP, somebody else on the desk's account, and runs of it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

if TYPE_CHECKING:
    from tests.support.history import History


@pytest.fixture(autouse=True)
def _exact_clocks(settings):
    """Nothing is excused as too recent, and a second look follows soon."""
    settings.AUDIT_RECHECK_AFTER_SECONDS = 0.02
    settings.AUDIT_CLOCK_TOLERANCE_SECONDS = 0
    settings.RECONCILE_GRACE_SECONDS = 0


@pytest.fixture
def past(written_history: "History", live_server, settings) -> "Iterator[History]":
    """What `write_history` leaves, with counter answering the desk's calls."""
    from acceptance import counter_client

    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    yield written_history
    counter_client._local.__dict__.clear()


@pytest.fixture
def run(venue) -> Callable[..., Any]:
    """Reconcile now, or some time from now."""
    from settlement.reconciliation import reconcile

    def reconciled(*, after: timedelta = timedelta(0), at=venue):
        return reconcile(venue=at, clock=lambda: timezone.now() + after, by="test")

    return reconciled

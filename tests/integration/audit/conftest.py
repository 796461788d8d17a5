"""A history that is all in order, and the audit of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

if TYPE_CHECKING:
    from tests.support.history import History


@pytest.fixture(autouse=True)
def _short_recheck(settings):
    settings.AUDIT_RECHECK_AFTER_SECONDS = 0.02


@pytest.fixture
def past(written_history: "History") -> "History":
    """What `write_history` leaves. A test may tamper with it several times: `tampered` undoes it."""
    return written_history


@pytest.fixture
def check(venue) -> Callable[[], Any]:
    """Audit as of now, the venue included."""
    import audit

    return lambda: audit.run(now=timezone.now(), venue=venue)

"""Fixtures of the tests that kill processes."""

from collections.abc import Iterator

import pytest

from tests.recovery.dooming import Doomed


@pytest.fixture(scope="session")
def doomed(django_db_setup: None) -> Iterator[Doomed]:
    """Has loaded Django, and forks the processes that are killed."""
    made = Doomed()
    yield made
    made.stop()

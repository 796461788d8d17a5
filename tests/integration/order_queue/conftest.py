"""An order queue of the test's own, threads that place orders in it, and an option to buy.

Django is imported late: this may load before its set-up.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from counter.models import Option
    from counter.orders.queue import OrderQueue


@pytest.fixture
def patient(settings) -> None:
    """What is looked at is not how long it takes."""
    settings.ORDER_WITHIN_SECONDS = 6.0


@pytest.fixture
def option(transactional_db: None) -> "Option":
    from tests.support.factories import make_option

    return make_option()


@pytest.fixture
def order_queue() -> "Iterator[OrderQueue]":
    from counter.orders.queue import OrderQueue

    made = OrderQueue()
    yield made
    made.stop()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as threads:
        yield threads

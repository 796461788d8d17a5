"""Orders on their way from counter to the desk, and how they came."""

import time
from collections.abc import Callable
from typing import Any

from acceptance.models import AcceptedOrder
from counter.contracts import SyncBatch, SyncEvent, encode
from counter.models import SyncOrder
from tests.support.factories import make_customer, make_option, place_open

# Generous for a machine that does other things; what is fast is asserted where it matters.
SOON_SECONDS = 60.0


def until(holds: Callable[[], Any], *, within: float = SOON_SECONDS) -> float:
    """Wait until something holds; how long it took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < within, "it did not come to hold"
        time.sleep(0.01)
    return time.monotonic() - started


def place(count: int = 3) -> list[int]:
    option, customer = make_option(), make_customer()
    return [place_open(customer, option).id for _ in range(count)]


def doors() -> set[str]:
    return set(AcceptedOrder.objects.values_list("door", flat=True))


def accepted(ids: list[int]) -> bool:
    return set(AcceptedOrder.objects.values_list("order_id", flat=True)) >= set(ids)


def acknowledged() -> bool:
    return not SyncOrder.objects.filter(state="PENDING").exists()


def batch(*events: SyncEvent) -> bytes:
    return encode(SyncBatch(events=list(events)))

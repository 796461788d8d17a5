"""A little history of both systems and a real venue that is all in order."""

from dataclasses import dataclass

from counter.models import Customer, Option
from counter.orders.requests import Order
from settlement.models import Conversion
from settlement.venues.protocol import Venue
from tests.support import desk
from tests.support.factories import make_customer, make_option, place_close, place_open


@dataclass(frozen=True)
class History:
    """What happened: some of the orders, and the conversions in their order."""

    customer: Customer
    option: Option
    opened: Order
    closed: Order
    closed_at_fill: Order
    conversion_ids: list[int]


def write_history(venue: Venue) -> History:
    """Two customers, both coins, crossings, partial and at-fill closes, several conversions; all reported.

    The desk's books have to be open.
    """
    btc, eth = make_option(), make_option(underlying="ETH", kind="P")
    ann, bob = make_customer(), make_customer()
    opened = place_open(ann, btc, contracts=200)
    puts = place_open(bob, eth, contracts=150)
    desk.run_desk(venue)
    closed = place_close(opened, contracts=120)
    calls = place_open(bob, btc, contracts=333)
    closed_at_fill = place_close(puts, payout="at_fill")
    desk.run_desk(venue)
    place_close(calls, contracts=100, payout="at_fill")
    place_close(calls, contracts=7)
    desk.run_desk(venue)
    ids = list(Conversion.objects.order_by("id").values_list("id", flat=True))
    return History(ann, btc, opened, closed, closed_at_fill, ids)

"""A payout at fill while the venue is away: late where everybody can see it, never lost, and deposited once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

import audit
from cockpit import snapshot
from cockpit.alerts import alerts
from counter.expiring import expiry
from counter.models import Account, Position, SyncOrder
from settlement.conversions import sweep
from settlement.models import VenueHalt
from settlement.venues import halts
from settlement.venues.protocol import VenueError
from tests.support import desk
from tests.support.expiring import buy, expiring_option, last_expiry, position_of, record_index
from tests.support.factories import make_customer, make_option, place_close, place_open

LATE = timedelta(minutes=11)  # longer than orders may stay with the desk before somebody should look


def needs_a_human(*, after: timedelta) -> set[str]:
    snapshot.shared.forget()
    return {alert.code for alert in alerts(snapshot.read(now=timezone.now() + after))}


@pytest.fixture
def closed(two_systems, venue):
    """A close at fill."""
    opening = place_open(make_customer(), make_option(), contracts=50)
    desk.run_desk(venue)
    return place_close(opening, payout="at_fill")


@pytest.fixture
def exercised(two_systems, venue, settings):
    """An exercise beyond what may be paid at once."""
    settings.EXPIRY_INSTANT_PAYOUT_USDT = Decimal(0)
    at = last_expiry()
    opening = buy(make_customer(now=at - timedelta(days=1)), expiring_option(expires_at=at), contracts=50)
    desk.run_desk(venue)
    record_index(expires_at=at)
    expiry.expire_due(now=timezone.now())
    return SyncOrder.objects.get(kind="EXERCISE", position_id=opening.position_id)


@pytest.mark.parametrize(
    ("kind", "waits", "ends"),
    [
        ("closed", "CLOSING", "CLOSED"),
        ("exercised", "EXERCISED", "EXERCISED"),
    ],
)
def test_a_payout_waits_for_the_venue_in_sight_and_comes_once(request, two_systems, venue, kind, waits, ends):
    order = request.getfixturevalue(kind)
    customer_id = order.customer_id
    before = Account.objects.get(customer_id=customer_id).balance
    halts.begin(venue=venue.name, reason="it is away", now=timezone.now(), asked_for=1)
    desk.deliver()
    with pytest.raises(VenueError):
        desk.convert(venue)

    position = position_of(order)
    assert (position.state, position.unpaid, position.remaining) == (waits, 1, 0)
    assert SyncOrder.objects.get(pk=order.id).state == "SYNCED"
    assert Account.objects.get(customer_id=customer_id).balance == before
    assert {"venue_halted", "orders_stuck"} <= needs_a_human(after=LATE)

    halts.lift(VenueHalt.objects.all(), by="ann", now=timezone.now())
    for _ in range(2):
        sweep.resume(venue=venue, now=timezone.now())
        desk.convert(venue)
        desk.balance()
        desk.report()
    position = position_of(order)
    due = SyncOrder.objects.get(pk=order.id).settlement_due
    assert (position.state, position.unpaid) == (ends, 0)
    assert due
    assert position.proceeds == due
    assert Account.objects.get(customer_id=customer_id).balance == before + due
    assert Position.objects.count() == 1
    report = audit.run(now=timezone.now(), venue=venue)
    assert (report.broken, report.unchecked) == (0, [])

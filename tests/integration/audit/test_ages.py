"""Invariant 8: what nobody takes care of is broken once it is too old, and every unfinished state has a rule."""

from datetime import timedelta

from django.conf import settings as project_settings
from django.utils import timezone

import audit
from acceptance.models import AcceptedOrder
from audit import graphs
from counter.models import Expiry, Option, SyncOrder, Withdrawal
from settlement.models import Conversion, FundsTransfer, VenueHalt
from settlement.venues import halts
from tests.support import desk
from tests.support.factories import place_open
from tests.support.tampering import broken

FORGOTTEN = "nobody takes care of it"
OWNED = {
    "sync_order": {"SYNCED"},  # by the desk's row
    "option": {"EXPIRED"},  # by its expiry
    "expiry": set(),
    "accepted_order": {"CONVERTING"},  # by its conversion
    "conversion": {"UNKNOWN", "RETRY_WAIT", "MANUAL"},  # by a due time, or a person
    "funds_transfer": {"UNKNOWN", "MANUAL"},
    "withdrawal": set(),
}


AT_REST = {"accepted_order": {"REPORTED"}}  # a person may disown it, and nothing has to happen


def test_every_unfinished_state_has_a_limit_or_an_owner():
    models = {
        "sync_order": SyncOrder,
        "option": Option,
        "expiry": Expiry,
        "accepted_order": AcceptedOrder,
        "conversion": Conversion,
        "funds_transfer": FundsTransfer,
        "withdrawal": Withdrawal,
    }
    for name, model in models.items():
        limited = set(project_settings.AUDIT_AGE_LIMITS_SECONDS[name])
        assert limited | OWNED[name] == graphs.unfinished(model) - AT_REST.get(name, set()), name
        assert not limited & OWNED[name], name


def test_what_nobody_takes_care_of_is_broken_once_it_is_too_old(past, venue):
    def found_after(seconds: float) -> set[tuple[str, str]]:
        report = audit.run(now=timezone.now() + timedelta(seconds=seconds), venue=venue)
        assert set(broken(report)) <= {8}
        return broken(report).get(8, set())

    order = place_open(past.customer, past.option, contracts=100)
    where = f"crossbook/{order.id}"
    desk.deliver()
    assert found_after(55) == set()
    assert found_after(61) == {(FORGOTTEN, where)}
    desk.convert(venue)
    made = Conversion.objects.latest("id")
    assert found_after(25) == set()
    assert found_after(61) == {(FORGOTTEN, f"conversion {made.pk}")}
    desk.balance()
    assert found_after(55) == set()
    assert found_after(61) == {(FORGOTTEN, where)}
    desk.report()
    assert found_after(3600) == set()


def test_an_order_that_a_halted_venue_holds_up_is_in_flight_with_the_reason_and_due_when_it_is_asked(
    past, venue
):
    now = timezone.now()
    place_open(past.customer, past.option, contracts=100)
    desk.deliver()
    halts.begin(venue=venue.name, reason="the key was refused", now=now, asked_for=600)

    def after(seconds):
        return audit.run(now=now + timedelta(seconds=seconds), venue=venue)

    report = after(500)
    assert broken(report) == {}
    (finding,) = [
        each for result in report.results for each in result.in_flight.listed if each.what == "unfinished"
    ]
    assert "venue halted: the key was refused" in finding.detail
    ask_at = VenueHalt.objects.get().ask_at
    overdue_s = project_settings.AUDIT_OVERDUE_AFTER_SECONDS
    assert broken(after((ask_at - now).total_seconds() + overdue_s - 1)) == {}
    assert set(broken(after((ask_at - now).total_seconds() + overdue_s + 1))) == {8}

    halts.lift(VenueHalt.objects.all(), by="alice", now=now + timedelta(seconds=400))
    assert broken(after(400 + overdue_s - 1)) == {}
    assert set(broken(after(400 + overdue_s + 1))) == {8}
    # A halt that was over before it came is no excuse.
    AcceptedOrder.objects.filter(state="RECEIVED").update(received_at=now + timedelta(seconds=401))
    assert set(broken(after(401 + 61))) == {8}


def test_an_order_behind_a_conversion_that_waits_to_be_sent_again_is_in_flight(past, venue, paper_venue):
    paper_venue.add_fault("rate_limit", method="POST", path="/api/v3/order", count=1, retry_after_seconds=0)
    place_open(past.customer, past.option, contracts=100)
    desk.deliver()
    desk.convert(venue)
    waiting = Conversion.objects.latest("id")
    assert waiting.state == "RETRY_WAIT"
    place_open(past.customer, past.option, contracts=100)
    desk.deliver()
    due_at = timezone.now() + timedelta(seconds=100)
    Conversion.objects.filter(pk=waiting.pk).update(due_at=due_at)
    assert broken(audit.run(now=due_at, venue=venue)) == {}


def test_due_time_that_passed_long_ago_is_broken(past, venue, paper_venue):
    paper_venue.add_fault("reply_lost", method="POST", path="/api/v3/order", count=1)
    place_open(past.customer, past.option, contracts=100)
    desk.deliver()
    desk.convert(venue)
    unknown = Conversion.objects.latest("id")
    assert unknown.state == "UNKNOWN"
    overdue_s = project_settings.AUDIT_OVERDUE_AFTER_SECONDS
    on_time = audit.run(now=unknown.due_at + timedelta(seconds=overdue_s - 1), venue=venue)
    assert broken(on_time) == {}
    too_late = audit.run(now=unknown.due_at + timedelta(seconds=overdue_s + 1), venue=venue)
    assert broken(too_late) == {8: {(FORGOTTEN, f"conversion {unknown.pk}")}}

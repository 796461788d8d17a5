"""The person who stopped a coin takes that stop back alone: soon, once, and only if nothing else happened to it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from counter.models import TradingStatus, TradingStatusChange, TradingSwitch, TradingSwitchChange
from counter.models.switches import ALL_COINS
from counter.trading.switches import State, SwitchRefused, standing_change, throw
from counter.trading.taking_back import take_back, why_not
from tests.support.desk_bench import at_once

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SOON = NOW + 60 * SECOND


def stopped(underlying="BTC", to=State.OPENS_STOPPED, *, by="ann", at=NOW, reason="a slip"):
    """Throw it; the id of the throw, of none that changed nothing."""
    if throw(underlying=underlying, to=to, reason=reason, by=by, now=at):
        return TradingSwitchChange.objects.latest("pk").pk
    return None


def taken(stop_id, *, by="ann", at=SOON, reason="not this coin"):
    return take_back(stop_id=stop_id, reason=reason, by=by, now=at)


def stands(underlying="BTC"):
    switch = TradingSwitch.objects.get(underlying=underlying)
    return switch.state, switch.by, switch.reason


def refused(stop_id, match, **how):
    before = list(TradingSwitch.objects.order_by("pk").values()), TradingSwitchChange.objects.count()
    with pytest.raises(SwitchRefused, match=match):
        taken(stop_id, **how)
    assert (
        list(TradingSwitch.objects.order_by("pk").values()),
        TradingSwitchChange.objects.count(),
    ) == before


def breaker(underlying, from_state, to_state, *, at):
    TradingStatusChange.objects.create(
        underlying=underlying, from_state=from_state, to_state=to_state, spread_rate="0.02", at=at, by="feed"
    )


def test_an_own_stop_is_taken_back_and_the_history_says_which_why_and_by_whom():
    stop_id = stopped()
    assert TradingStatus.objects.get(underlying="BTC").stop == State.OPENS_STOPPED
    assert taken(stop_id, reason=" not this coin ")
    assert stands() == ("RUNNING", "ann", "not this coin")
    assert TradingStatus.objects.get(underlying="BTC").stop == State.RUNNING
    row = TradingSwitchChange.objects.latest("pk")
    assert (row.from_state, row.to_state, row.reason, row.by, row.at, row.takes_back_id) == (
        *("OPENS_STOPPED", "RUNNING", "not this coin", "ann", SOON, stop_id),
    )


@pytest.mark.parametrize("to", [State.OPENS_STOPPED, State.ALL_STOPPED])
@pytest.mark.parametrize("underlying", ["BTC", ALL_COINS])
def test_each_stop_of_each_switch_is_taken_back(underlying, to):
    assert taken(stopped(underlying, to))
    assert stands(underlying)[0] == "RUNNING"
    assert set(TradingStatus.objects.values_list("stop", flat=True)) == {"RUNNING"}


def test_it_is_taken_back_once_however_often_the_button_is_pressed():
    stop_id = stopped()
    assert taken(stop_id)
    assert not taken(stop_id)
    assert not taken(stop_id, at=NOW + 3600 * SECOND)
    assert TradingSwitchChange.objects.count() == 2
    second = stopped(at=SOON)
    assert not taken(stop_id), "an old page ends no newer stop"
    assert stands()[0] == "OPENS_STOPPED"
    assert taken(second)


def test_the_database_keeps_a_second_taking_back_out():
    stop_id = stopped()
    taken(stop_id)
    again = {"underlying": "BTC", "from_state": "OPENS_STOPPED", "to_state": "RUNNING", "reason": "r"}
    with pytest.raises(IntegrityError), transaction.atomic():
        TradingSwitchChange.objects.create(**again, by="ann", at=SOON, takes_back_id=stop_id)


@pytest.mark.parametrize(("seconds", "may"), [(0, True), (599, True), (600, False), (86_400, False)])
def test_only_for_some_minutes(seconds, may):
    stop_id = stopped()
    at = NOW + seconds * SECOND
    if may:
        assert taken(stop_id, at=at)
    else:
        refused(stop_id, "over at 12:10:00 UTC", at=at)


def test_how_long_is_a_setting_and_zero_is_never(settings):
    settings.STOP_TAKE_BACK_SECONDS = 5
    stop_id = stopped()
    refused(stop_id, "over at 12:00:05", at=NOW + 5 * SECOND)
    settings.STOP_TAKE_BACK_SECONDS = 0
    refused(stop_id, "over", at=NOW)


def test_a_stop_that_lies_ahead_was_dated_by_a_wrong_clock_and_counts_as_old():
    refused(stopped(at=NOW + 3600 * SECOND), "over", at=NOW)


def test_nobody_takes_back_what_somebody_else_stopped():
    stop_id = stopped(by="ann")
    for by in ("bob", "Ann", "ann at the console"):
        refused(stop_id, "ann threw it", by=by)


@pytest.mark.parametrize("reason", ["", "  "])
def test_not_without_a_reason(reason):
    refused(stopped(), "a reason is needed", reason=reason)


def test_neither_what_is_no_stop_nor_what_does_not_exist_is_taken_back():
    stopped(to=State.ALL_STOPPED)
    throw(underlying="BTC", to=State.OPENS_STOPPED, reason="out again", by="ann", now=NOW)
    refused(TradingSwitchChange.objects.latest("pk").pk, "it stopped nothing")
    refused(0, "no such stop")


def test_taking_back_is_not_taken_back():
    taken(stopped())
    refused(TradingSwitchChange.objects.latest("pk").pk, "it stopped nothing")


# --- what stood before ----------------------------------------------------------------------------------------------


def test_it_goes_back_to_the_stop_that_stood_before_with_its_person_reason_and_time():
    stopped(by="bob", reason="the index is wrong", at=NOW - 3600 * SECOND)
    assert taken(stopped(to=State.ALL_STOPPED, by="ann"))
    assert stands() == ("OPENS_STOPPED", "bob", "the index is wrong")
    assert TradingSwitch.objects.get(underlying="BTC").since == NOW - 3600 * SECOND
    assert TradingStatus.objects.get(underlying="BTC").stop == State.OPENS_STOPPED
    assert standing_change("BTC").by == "bob"


def test_who_went_further_by_mistake_takes_back_both_steps_the_last_one_first():
    first = stopped()
    second = stopped(to=State.ALL_STOPPED)
    refused(first, "you threw the switch of BTC")
    assert taken(second)
    assert stands()[0] == "OPENS_STOPPED"
    assert taken(first)
    assert stands()[0] == "RUNNING"


def test_the_other_switch_goes_on_stopping_what_it_stops():
    stopped(ALL_COINS, by="bob")
    assert taken(stopped("BTC", State.ALL_STOPPED))
    assert dict(TradingStatus.objects.values_list("underlying", "stop")) == dict.fromkeys(
        ("BTC", "ETH"), "OPENS_STOPPED"
    )


# --- what happened meanwhile ----------------------------------------------------------------------------------------


def test_a_stronger_stop_by_somebody_else_ends_it_for_good():
    stop_id = stopped()
    stronger = stopped(to=State.ALL_STOPPED, by="bob")
    refused(stop_id, "bob threw the switch of BTC")
    refused(stronger, "bob threw it")
    assert taken(stronger, by="bob")
    assert stands() == ("OPENS_STOPPED", "ann", "a slip")
    refused(stop_id, "bob threw the switch of BTC")


def test_what_an_approver_resumed_and_somebody_stopped_again_is_another_stop():
    stop_id = stopped()
    throw(underlying="BTC", to=State.RUNNING, reason="well", by="carl", now=NOW)
    refused(stop_id, "carl resumed")
    stopped(by="bob")
    refused(stop_id, "carl resumed")
    assert stands()[1] == "bob"


def test_closes_that_an_approver_let_go_on_are_not_stopped_again_by_it():
    stop_id = stopped(to=State.ALL_STOPPED)
    throw(underlying="BTC", to=State.OPENS_STOPPED, reason="out again", by="carl", now=NOW)
    refused(stop_id, "carl resumed")
    assert stands()[0] == "OPENS_STOPPED"


def test_who_stops_what_is_stopped_already_wants_it_stopped_too():
    stop_id = stopped(to=State.ALL_STOPPED)
    for _ in range(2):
        assert stopped(to=State.ALL_STOPPED, by="bob", reason="the index") is None
    refused(stop_id, "bob threw the switch of BTC")
    rows = TradingSwitchChange.objects.filter(by="bob").values_list("from_state", "to_state", "reason")
    assert list(rows) == [("ALL_STOPPED", "ALL_STOPPED", "the index")]
    assert stands() == ("ALL_STOPPED", "ann", "a slip")
    assert standing_change("BTC").pk == stop_id


def test_a_stop_of_all_coins_by_somebody_else_is_one_of_this_coin_too():
    stop_id = stopped("BTC")
    stopped(ALL_COINS, by="bob")
    refused(stop_id, "bob threw the switch of all coins")


def test_a_stop_of_one_coin_by_somebody_else_keeps_that_of_all():
    stop_id = stopped(ALL_COINS)
    stopped("ETH", by="bob")
    refused(stop_id, "bob threw the switch of ETH")


def test_what_happens_to_another_coin_is_nothing_to_this_one():
    stop_id = stopped("BTC")
    stopped("ETH", by="bob")
    breaker("ETH", "NORMAL", "HALTED", at=SOON)
    assert taken(stop_id)


@pytest.mark.parametrize(
    ("underlying", "step", "at", "may"),
    [
        ("BTC", ("NORMAL", "HALTED"), SOON, False),
        ("BTC", ("NORMAL", "WIDE"), SOON, False),
        ("BTC", ("WIDE", "HALTED"), NOW, False),
        ("BTC", ("", "WIDE"), SOON, False),
        ("BTC", ("NORMAL", "HALTED"), NOW - SECOND, True),
        ("BTC", ("HALTED", "WIDE"), SOON, True),
        ("BTC", ("WIDE", "NORMAL"), SOON, True),
        ("BTC", ("WIDE", "WIDE"), SOON, True),  # how it is paced was changed
        ("BTC", ("", "NORMAL"), SOON, True),
        (ALL_COINS, ("NORMAL", "WIDE"), SOON, False),
    ],
)
def test_a_circuit_breaker_that_went_further_since_keeps_the_stop(underlying, step, at, may):
    stop_id = stopped(underlying)
    breaker("BTC", *step, at=at)
    if may:
        assert taken(stop_id, at=SOON + SECOND)
    else:
        refused(stop_id, "BTC's circuit breaker made it", at=SOON + SECOND)


def test_a_breaker_that_had_halted_the_coin_before_goes_on_halting_it():
    status = TradingStatus.objects.create(
        underlying="BTC", state="HALTED", spread_rate="0.02", reasons=["exposure"], since=NOW, judged_at=NOW
    )
    assert taken(stopped())
    status.refresh_from_db()
    assert (status.state, status.stop) == ("HALTED", "RUNNING")


def test_why_not_is_empty_for_who_may_only():
    stopped()
    stop = standing_change("BTC")
    assert why_not(stop, by="ann", now=SOON) == ""
    assert why_not(stop, by="bob", now=SOON)


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_takes_it_back():
    stop_id = stopped()
    done = at_once(*[lambda: taken(stop_id)] * 8)
    assert sorted(done) == [False] * 7 + [True]
    assert TradingSwitchChange.objects.filter(takes_back_id=stop_id).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_stronger_stop_at_the_same_moment_is_never_undone():
    for _ in range(5):
        stop_id = stopped()

        def tried(stop_id=stop_id):
            try:
                return taken(stop_id)
            except SwitchRefused:
                return False

        at_once(tried, lambda: stopped(to=State.ALL_STOPPED, by="bob"))
        assert stands()[:2] == ("ALL_STOPPED", "bob")
        throw(underlying="BTC", to=State.RUNNING, reason="next", by="carl", now=SOON)

"""Options at their end: exercised and paid once in the money, gone at zero out of it, by any process, however often."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from counter.contracts import SettlementReport
from counter.expiring import expiry
from counter.models import (
    Account,
    Expiry,
    Option,
    OptionChange,
    Position,
    SettlementIndex,
    SyncOrder,
    Transfer,
)
from counter.orders.placing import place_orders
from counter.orders.requests import CloseRequest, RejectCode, Rejected
from counter.orders.settlements import take_reports
from tests.support.expiring import (
    AFTER,
    BEFORE,
    EXPIRES_AT,
    LATER,
    SECOND,
    balance_of,
    buy,
    exercises,
    expiring_option,
    position_of,
    record_index,
)
from tests.support.factories import make_customer, place_close

pytestmark = pytest.mark.django_db

# 2 contracts of 0.01 BTC, a tenth of the index in the money.
PAID_FOR_TWO = Decimal("180.000000")


def settle(order: SyncOrder, *, due: Decimal) -> None:
    report = SettlementReport(
        order_id=order.pk,
        conversion_id=1,
        price=Decimal("90000.00000000"),
        value=due.quantize(Decimal("0.00000001")),
        fee=Decimal("0.00000000"),
        due=due,
        settled_at=AFTER + SECOND,
    )
    assert take_reports(reports=[report], now=AFTER + SECOND).taken == [order.pk]


def settle_all() -> None:
    for order in SyncOrder.objects.exclude(state="SETTLED"):
        settle(order, due=order.fair)


def test_in_the_money_is_exercised_and_paid_once_at_the_average_however_often_it_runs():
    customer, option = make_customer(balance="1000"), expiring_option()
    opening = buy(customer, option, contracts=2)
    before = balance_of(customer)
    record_index()
    assert expiry.expire_due(now=AFTER) == 1
    assert expiry.expire_due(now=AFTER + SECOND) == 0

    [order] = exercises()
    assert (order.client_order_id, order.payout) == (f"exercise/{opening.position_id}", "instant")
    assert (order.index_price, order.coin, order.fair) == (90_000, Decimal("0.00200000"), PAID_FOR_TWO)
    assert (order.amount, order.spread, order.premium) == (PAID_FOR_TWO, 0, Decimal("0.100000"))
    position = position_of(opening)
    assert (position.state, position.remaining, position.unpaid) == ("EXERCISED", 0, 0)
    assert position.proceeds == PAID_FOR_TWO
    assert AFTER <= position.closed_at < AFTER + 5 * SECOND
    assert balance_of(customer) == before + PAID_FOR_TWO
    assert Account.objects.values_list("open_contracts", "open_cost").get(customer=customer) == (0, 0)
    legs = Transfer.objects.filter(order_id=order.pk).values_list("kind", "amount", "balance_after")
    assert list(legs) == [("exercise", PAID_FOR_TWO, balance_of(customer))]


def test_a_put_in_the_money_pays_what_the_index_is_below_its_strike():
    opening = buy(make_customer(), expiring_option(kind="P"))
    record_index()
    expiry.expire_due(now=AFTER)
    assert position_of(opening).proceeds == Decimal("90.000000")


@pytest.mark.parametrize("by", [-9000, 0])
def test_out_of_the_money_ends_at_zero_without_an_order(by):
    customer = make_customer()
    opening = buy(customer, expiring_option(in_the_money_by=by))
    before = balance_of(customer)
    record_index()
    assert expiry.expire_due(now=AFTER) == 1
    position = position_of(opening)
    assert (position.state, position.remaining) == ("EXPIRED", 0)
    assert AFTER <= position.closed_at < AFTER + 5 * SECOND
    assert (exercises(), balance_of(customer)) == ([], before)
    # What has ended counts no more against the customer's limits.
    assert Account.objects.values_list("open_contracts", "open_cost").get(customer=customer) == (0, 0)


def test_what_was_missed_is_made_up_days_later_at_the_index_of_its_own_time():
    opening = buy(make_customer(), expiring_option())
    record_index()
    record_index(price=Decimal(150_000), expires_at=EXPIRES_AT + timedelta(hours=3))
    assert expiry.expire_due(now=EXPIRES_AT + timedelta(days=2)) == 1
    assert position_of(opening).proceeds == Decimal("90.000000")


def test_nothing_ends_before_its_moment_nor_before_the_record_is_complete():
    opening = buy(make_customer(), option := expiring_option())
    record_index()
    expiry.expire_due(now=EXPIRES_AT - SECOND)
    assert Option.objects.get(pk=option.pk).state == "LISTED"
    expiry.expire_due(now=EXPIRES_AT)
    assert Option.objects.get(pk=option.pk).state == "EXPIRED"
    expiry.expire_due(now=EXPIRES_AT + 9 * SECOND)
    assert position_of(opening).state == "OPEN"
    expiry.expire_due(now=EXPIRES_AT + 10 * SECOND)
    assert position_of(opening).state == "EXERCISED"


def test_customers_are_paid_at_once_up_to_the_limit_in_the_order_of_their_positions(settings):
    settings.EXPIRY_INSTANT_PAYOUT_USDT = Decimal(300)
    customers = [make_customer(balance="1000") for _ in range(4)]
    option = expiring_option()
    openings = [
        buy(customer, option, contracts=n) for customer, n in zip(customers, (2, 2, 1, 1), strict=True)
    ]
    before = [balance_of(customer) for customer in customers]
    record_index()
    expiry.expire_due(now=AFTER)
    # The second does not fit any more, the third does, the fourth does not.
    assert [order.payout for order in exercises()] == ["instant", "at_fill", "instant", "at_fill"]
    paid = [balance_of(customer) - was for customer, was in zip(customers, before, strict=True)]
    assert paid == [180, 0, 90, 0]
    found = Expiry.objects.get()
    assert (found.exercised, found.left_to_fill, found.paid_at_once) == (4, 2, 270)

    waiting = exercises()[1]
    assert (position_of(openings[1]).state, position_of(openings[1]).unpaid) == ("EXERCISED", 1)
    settle(waiting, due=Decimal("177.500000"))
    position = position_of(openings[1])
    assert (position.state, position.unpaid, position.proceeds) == ("EXERCISED", 0, Decimal("177.500000"))
    assert balance_of(customers[1]) == before[1] + Decimal("177.500000")


def test_the_limit_is_of_the_moment_whichever_coin_comes_first(settings):
    settings.EXPIRY_INSTANT_PAYOUT_USDT = Decimal(100)
    customer = make_customer()
    ether = buy(customer, expiring_option(underlying="ETH", in_the_money_by=300))
    bitcoin = buy(customer, expiring_option())
    record_index("ETH")
    expiry.expire_due(now=AFTER)
    record_index("BTC")
    Expiry.objects.filter(underlying="BTC").update(why="")
    expiry.expire_due(now=AFTER + SECOND)
    assert {order.position_id: order.payout for order in exercises()} == {
        ether.position_id: "instant",
        bitcoin.position_id: "at_fill",
    }


def test_a_close_before_the_end_counts_and_its_payout_still_comes():
    customer, option = make_customer(), expiring_option()
    opening = buy(customer, option, contracts=3)
    closing = place_close(opening, contracts=1, payout="at_fill", now=BEFORE)
    record_index()
    expiry.expire_due(now=AFTER)
    assert (position_of(opening).state, position_of(opening).unpaid) == ("EXERCISED", 1)
    assert exercises()[0].contracts == 2
    settle(SyncOrder.objects.get(pk=closing.id), due=Decimal("20.000000"))
    position = position_of(opening)
    assert (position.state, position.unpaid, position.proceeds) == ("EXERCISED", 0, PAID_FOR_TWO + 20)


def test_a_position_that_is_closed_and_waits_for_its_payout_is_left_to_it():
    opening = buy(make_customer(), expiring_option())
    closing = place_close(opening, payout="at_fill", now=BEFORE)
    record_index()
    expiry.expire_due(now=LATER)
    assert (position_of(opening).state, exercises()) == ("CLOSING", [])
    settle(SyncOrder.objects.get(pk=closing.id), due=Decimal("20.000000"))
    assert position_of(opening).state == "CLOSED"


def test_orders_are_refused_from_the_moment_on_whether_the_expiry_has_run_or_not():
    customer = make_customer()
    opening = buy(customer, expiring_option())
    close = CloseRequest(customer_id=customer.pk, client_order_id="late", position_id=opening.position_id)
    [before] = place_orders(requests=[close], now=EXPIRES_AT)
    record_index()
    expiry.expire_due(now=AFTER)
    [after] = place_orders(requests=[close], now=AFTER)
    for outcome in (before, after):
        assert isinstance(outcome, Rejected)
        assert outcome.code is RejectCode.OPTION_EXPIRED


def test_a_customers_own_order_id_cannot_stop_an_exercise():
    customer, option = make_customer(), expiring_option()
    opening = buy(customer, option)
    place_close(opening, contracts=1, now=BEFORE)
    again = buy(customer, option)
    SyncOrder.objects.filter(pk=again.id).update(client_order_id=f"exercise:{again.position_id}")
    record_index()
    assert expiry.expire_due(now=AFTER) == 1


def test_an_option_is_settled_when_its_orders_are_and_every_step_is_kept():
    worthless, paying = expiring_option(in_the_money_by=-9000), expiring_option()
    customer = make_customer()
    buy(customer, worthless)
    buy(customer, paying)
    settle_all()
    record_index()
    expiry.expire_due(now=LATER)
    states = dict(Option.objects.values_list("pk", "state"))
    assert states == {worthless.pk: "SETTLED", paying.pk: "EXPIRED"}
    assert Expiry.objects.get().state == "EXERCISING"
    settle_all()
    expiry.expire_due(now=LATER + SECOND)
    found = Option.objects.get(pk=paying.pk)
    assert (found.state, found.settlement_index) == ("SETTLED", 90_000)
    assert (Expiry.objects.get().state, Expiry.objects.get().settled_at) == ("SETTLED", LATER + SECOND)
    steps = (
        OptionChange.objects.filter(option=paying).order_by("id").values_list("from_state", "to_state", "by")
    )
    assert list(steps) == [("LISTED", "EXPIRED", "expiry"), ("EXPIRED", "SETTLED", "expiry")]


def test_the_record_of_an_average_says_what_it_was_made_of():
    buy(make_customer(), expiring_option())
    record_index(left_out=[3, 17])
    expiry.expire_due(now=AFTER)
    index = SettlementIndex.objects.get()
    assert (index.price, index.samples, index.minutes) == (90_000, 28 * 6, 28)
    assert (index.largest_gap_seconds, index.entry, index.recorded_at) == (70, None, AFTER)


def test_a_position_that_cannot_be_ended_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(expiry, "CHUNK_POSITIONS", 4)
    option, customer = expiring_option(), make_customer()
    openings = [buy(customer, option) for _ in range(7)]
    spoiled = openings[2]
    Position.objects.filter(pk=spoiled.position_id).update(proceeds=Decimal("99999999999999"))
    record_index()
    before = balance_of(customer)
    expiry.expire_due(now=AFTER)
    assert [position_of(opening).state for opening in openings] == [
        "OPEN" if opening is spoiled else "EXERCISED" for opening in openings
    ]
    assert balance_of(customer) == before + 6 * 90
    Position.objects.filter(pk=spoiled.position_id).update(proceeds=0)
    expiry.expire_due(now=LATER)
    assert position_of(spoiled).state == "EXERCISED"


def found(*, now: datetime) -> bool:
    """Whether a sweep found anything: it has taken the lock; else it has asked one thing, and that cheaply."""
    with CaptureQueriesContext(connection) as asked:
        expiry.sweep(now=now)
    if any("pg_try_advisory_lock" in each["sql"] for each in asked):
        return True
    assert len(asked) == 1
    return False


def test_a_sweep_asks_once_whether_there_is_anything_and_finds_all_that_is_left_to_do():
    paying, worthless = expiring_option(), expiring_option(in_the_money_by=-9000)
    buy(make_customer(), paying)
    assert not found(now=EXPIRES_AT - SECOND)
    assert found(now=EXPIRES_AT)
    assert dict(Option.objects.values_list("pk", "state")) == {paying.pk: "EXPIRED", worthless.pk: "EXPIRED"}
    assert Expiry.objects.get().state == "WAITING"
    assert found(now=EXPIRES_AT), "the record of the index is not complete"
    record_index()
    assert found(now=AFTER)
    assert Expiry.objects.get().state == "EXERCISING"
    assert found(now=AFTER), "an order is not settled"
    settle_all()
    expiry.expire_due(now=LATER)
    assert not found(now=LATER + SECOND)


@pytest.mark.parametrize("state", ["LISTED", "HALTED", "EXPIRED"])
def test_a_series_that_comes_after_its_expiry_was_settled_is_found_too(state):
    Expiry.objects.create(
        underlying="BTC", expires_at=EXPIRES_AT, state="SETTLED", taken_at=AFTER, settled_at=AFTER
    )
    option = expiring_option()
    Option.objects.filter(pk=option.pk).update(state=state)
    assert not found(now=EXPIRES_AT - SECOND)
    assert found(now=LATER)
    assert Option.objects.get().state == "SETTLED"
    assert not found(now=LATER + SECOND)

"""What customers have over time: measured by the hour, never a false number, and thinned to days."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from counter import tasks
from counter.market import portfolio
from counter.market.portfolio import DAY, HOUR
from counter.models import Account, PortfolioValue, Quote
from counter.money.accounts import deposit
from counter.money.withdrawals import confirm, release, reserve
from tests.support.factories import make_customer, make_option, make_quote, place_close, place_open
from trade.holdings import holdings_of

pytestmark = pytest.mark.django_db(transaction=True)

NOON = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=10)


def balance_of(customer):
    return Account.objects.get(customer=customer).balance


def measured(customer, *, now, option=None):
    """The newest row after measuring at a moment at which the option is quoted."""
    if option is not None:
        make_quote(option, now=now)
    portfolio.measure(now=now)
    return PortfolioValue.objects.filter(customer=customer).latest("period")


@pytest.fixture
def option():
    return make_option(now=NOON)


@pytest.fixture
def customer(option):
    """Of 1,000 USDT."""
    return make_customer(balance="1000", now=NOON)


@pytest.fixture(autouse=True)
def opened(customer, option):
    """Five contracts that the customer has bought at noon."""
    return place_open(customer, option, contracts=5, now=NOON)


def test_a_row_says_what_closing_now_would_leave(customer, option):
    row = measured(customer, now=NOON + timedelta(minutes=7), option=option)
    shown = holdings_of(customer_id=customer.pk, now=NOON + timedelta(minutes=7)).totals
    assert (row.period, row.balance, row.worth) == (NOON, balance_of(customer), shown.worth)
    assert (row.paid_in, row.holds) == (1000, True)
    [point] = portfolio.history(customer_id=customer.pk, span="1d", now=NOON + timedelta(minutes=8))
    assert point.value == row.balance + row.worth
    assert point.profit == shown.profit < 0


def test_an_hour_has_one_row_of_each_who_holds_something(customer, option):
    another = make_customer(now=NOON)
    make_customer(now=NOON)
    place_open(another, option, now=NOON)
    assert portfolio.measure(now=NOON) == 2
    assert portfolio.measure(now=NOON + timedelta(minutes=59)) == 0
    assert portfolio.measure(now=NOON + HOUR) == 2
    assert PortfolioValue.objects.count() == 4


def test_what_is_paid_in_and_out_is_no_profit(customer, option):
    first = measured(customer, now=NOON, option=option)
    deposit(customer_id=customer.pk, amount=Decimal(500), reference="d", now=NOON)
    reserve(customer_id=customer.pk, amount=Decimal(30), reference="w", now=NOON)
    reserve(customer_id=customer.pk, amount=Decimal(20), reference="v", now=NOON)
    confirm(reference="w", now=NOON)
    release(reference="v", now=NOON)
    second = measured(customer, now=NOON + HOUR, option=option)
    assert second.paid_in - first.paid_in == 470
    points = portfolio.history(customer_id=customer.pk, span="1d", now=NOON + HOUR)
    assert [point.value - points[0].value for point in points] == [0, 470]
    assert points[0].profit == points[1].profit


@pytest.mark.parametrize("without", ["a price", "a fresh price", "a bid"])
def test_without_a_price_there_is_a_gap_until_one_comes_in_the_same_hour(customer, option, without):
    quotes = Quote.objects.filter(option=option)
    if without == "a price":
        quotes.delete()
    elif without == "a fresh price":
        quotes.update(quoted_at=NOON - timedelta(seconds=30))
    else:
        quotes.update(bid=None)
    row = measured(customer, now=NOON)
    assert (row.worth, row.holds) == (None, True)
    [gap] = portfolio.history(customer_id=customer.pk, span="1d", now=NOON)
    assert (gap.value, gap.profit) == (None, None)
    make_quote(option, now=NOON + timedelta(minutes=29))
    assert portfolio.measure(now=NOON + timedelta(minutes=29)) == 0  # once more is enough, and later
    row = measured(customer, now=NOON + timedelta(minutes=35), option=option)
    assert row.worth > 0
    assert PortfolioValue.objects.count() == 1


def test_what_has_no_price_is_tried_twice_an_hour_and_not_with_each_run(customer, option):
    Quote.objects.filter(option=option).update(bid=None)
    runs = [portfolio.measure(now=NOON + timedelta(minutes=minute)) for minute in range(0, 65, 5)]
    assert runs == [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]


def test_who_changed_something_is_looked_for_with_the_first_rows_of_an_hour_only(customer, option):
    idle = make_customer(balance="500", now=NOON)
    opened = place_open(idle, option, now=NOON)
    portfolio.measure(now=NOON)
    place_close(opened, now=NOON)
    assert portfolio.measure(now=NOON + HOUR) == 2
    assert not portfolio.has_begun(now=NOON + 2 * HOUR)
    assert portfolio.measure(now=NOON + 2 * HOUR) == 1  # who still holds something
    assert portfolio.has_begun(now=NOON + 2 * HOUR)
    deposit(customer_id=idle.pk, amount=Decimal(7), reference="d", now=NOON)
    assert portfolio.measure(now=NOON + 2 * HOUR + timedelta(minutes=5)) == 0
    assert portfolio.measure(now=NOON + 3 * HOUR) == 2
    assert PortfolioValue.objects.filter(customer=idle).latest("period").balance == balance_of(idle)


def test_a_payout_that_is_still_to_come_is_a_gap(customer, option, opened):
    place_close(opened, contracts=2, payout="at_fill", now=NOON)
    assert measured(customer, now=NOON, option=option).worth is None


def test_who_holds_nothing_any_more_has_the_same_until_something_changes(customer, option, opened):
    measured(customer, now=NOON, option=option)
    place_close(opened, now=NOON)
    row = measured(customer, now=NOON + HOUR)
    assert (row.worth, row.holds) == (0, False)
    assert portfolio.measure(now=NOON + 2 * HOUR) == 0
    deposit(customer_id=customer.pk, amount=Decimal(7), reference="d", now=NOON)
    assert portfolio.measure(now=NOON + 5 * HOUR) == 1
    points = portfolio.history(customer_id=customer.pk, span="1d", now=NOON + 7 * HOUR)
    assert len(points) == 7
    assert [point.value - row.balance for point in points[1:]] == [0, 0, 0, 0, 7, 7]
    assert len({point.profit for point in points[1:]}) == 1


def test_hours_that_were_not_measured_are_gaps_while_something_is_held(customer, option):
    measured(customer, now=NOON, option=option)
    measured(customer, now=NOON + 3 * HOUR, option=option)
    points = portfolio.history(customer_id=customer.pk, span="1d", now=NOON + 3 * HOUR)
    assert [point.value is None for point in points] == [False, True, True, False]


@pytest.mark.parametrize("piece", [4, 20_000])
def test_hours_of_long_ago_become_days_and_days_of_very_long_ago_go(monkeypatch, piece):
    monkeypatch.setattr(portfolio, "FORGOTTEN_AT_A_TIME", piece)
    customer = make_customer(now=NOON)
    begun = datetime(2026, 3, 1, tzinfo=UTC)

    def row(period, worth):
        return PortfolioValue(*(None, customer.pk, period, period, Decimal(1), worth, Decimal(1)), holds=True)

    PortfolioValue.objects.bulk_create(
        row(begun + hour * HOUR, None if hour == 23 else Decimal(hour)) for hour in range(72)
    )
    PortfolioValue.objects.bulk_create([row(begun - timedelta(days=500), Decimal(1))])
    now = begun + timedelta(days=10, hours=5)
    assert portfolio.thin(now=now) == 1 + 22 + 23
    assert portfolio.thin(now=now) == 0
    kept = list(PortfolioValue.objects.order_by("period").values_list("worth", flat=True))
    assert kept[:3] == [22, None, 47]  # the last that is known, and what is behind it
    assert kept[3:] == [Decimal(hour) for hour in range(48, 72)]
    points = portfolio.history(customer_id=customer.pk, span="1y", now=now)
    assert [point.value for point in points[:3]] == [23, 48, 72]


def test_forgetting_ends_in_time_and_goes_on_with_the_next_hour(monkeypatch, customer):
    monkeypatch.setattr(portfolio, "FORGOTTEN_AT_A_TIME", 4)
    monkeypatch.setattr(portfolio, "FORGETTING_SECONDS", 0.0)
    long_ago = NOON - timedelta(days=500)
    PortfolioValue.objects.bulk_create(
        PortfolioValue(
            *(None, customer.pk, long_ago + hour * HOUR, long_ago, Decimal(1), None, Decimal(1)), holds=True
        )
        for hour in range(6)
    )
    assert [portfolio.thin(now=NOON) for _ in range(3)] == [4, 2, 0]


def test_a_run_thins_once_an_hour(customer, option, monkeypatch):
    thinned = []
    monkeypatch.setattr(portfolio, "thin", lambda *, now: thinned.append(now))
    for _ in range(2):
        tasks.measure_portfolios()
    assert len(thinned) == 1


def test_each_measuring_is_a_few_statements_however_many_are_due(
    customer, option, django_assert_max_num_queries
):
    for _ in range(20):
        place_open(make_customer(now=NOON), option, now=NOON)
    with django_assert_max_num_queries(20):
        assert portfolio.measure(now=NOON) == 21
    with django_assert_max_num_queries(1):
        assert portfolio.measure(now=NOON) == 0
    with django_assert_max_num_queries(2):
        portfolio.history(customer_id=customer.pk, span="1w", now=NOON + DAY)

"""The portfolio over time on the page and in the API: what is known is drawn, what is not is a gap and a dash."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from counter.market import portfolio
from counter.models import PortfolioValue, Quote
from counter.money.accounts import deposit
from tests.support.api import error_of
from tests.support.factories import place_close, place_open
from tests.support.visiting import words_in
from trade.book import balance_of
from trade.holdings import holdings_of
from trade.portfolio_chart import HEIGHT, SPAN_NAMES, WIDTH, portfolio_of

HOUR = timedelta(hours=1)


def kept(customer, *worths, paid_in="1000", balance="900"):
    """A row for each of the hours before this one, the oldest first; None is a gap."""
    begin = timezone.now().replace(minute=0, second=0, microsecond=0)
    PortfolioValue.objects.bulk_create(
        PortfolioValue(
            customer=customer,
            period=begin - number * HOUR,
            at=begin - number * HOUR,
            balance=Decimal(balance),
            worth=None if worth is None else Decimal(worth),
            paid_in=Decimal(paid_in),
            holds=True,
        )
        for number, worth in zip(range(len(worths), 0, -1), worths, strict=True)
    )


def drawn(customer, span="1d"):
    now = timezone.now()
    totals = holdings_of(customer_id=customer.pk, now=now).totals
    return portfolio_of(
        customer_id=customer.pk, balance=balance_of(customer.pk), totals=totals, span=span, now=now
    )


def test_lines_lie_within_the_picture_and_break_where_nothing_was_known(visitor, option):
    place_open(visitor.customer, option)
    kept(visitor.customer, "100", "150", None, "50", "80")
    chart = drawn(visitor.customer)
    assert [piece.count(",") for piece in chart.value.pieces] == [2, 3]
    assert chart.has_gaps
    points = [
        tuple(map(Decimal, point.split(","))) for piece in chart.value.pieces for point in piece.split()
    ]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert min(points, key=lambda point: point[1]) == points[1]
    assert (chart.value.lowest, chart.value.highest) == (950, 1050)


def test_a_known_hour_between_two_gaps_is_a_dot(visitor, option):
    place_open(visitor.customer, option)
    kept(visitor.customer, "100", None, "50", None)
    dot = drawn(visitor.customer).value.pieces[1]
    assert len(set(dot.split())) == 1
    assert len(dot.split()) == 2


def test_what_is_there_now_is_what_the_positions_say_and_deposits_are_no_profit(visitor, option):
    place_open(visitor.customer, option, contracts=3)
    deposit(customer_id=visitor.customer.pk, amount=Decimal(500), reference="d", now=timezone.now())
    kept(visitor.customer, "100")
    totals = holdings_of(customer_id=visitor.customer.pk, now=timezone.now()).totals
    chart = drawn(visitor.customer)
    assert chart.profit.now == totals.profit
    assert chart.value.now == 1500 + totals.profit
    assert chart.gained == totals.profit
    assert 0 < chart.profit.zero < HEIGHT


@pytest.mark.parametrize("case", ["no price", "an old price", "a payout to come"])
def test_what_cannot_be_told_now_is_a_dash_and_no_number(visitor, option, case):
    opened = place_open(visitor.customer, option, contracts=3)
    kept(visitor.customer, "100", "120")
    if case == "a payout to come":
        place_close(opened, contracts=1, payout="at_fill")
    elif case == "no price":
        Quote.objects.update(bid=None)
    else:
        Quote.objects.update(quoted_at=timezone.now() - timedelta(seconds=20))
    chart = drawn(visitor.customer)
    assert (chart.value.now, chart.profit.now, chart.gained) == (None, None, None)
    told = words_in(visitor.get("portfolio/"))
    assert "Balance and positions – USDT" in told
    assert "Profit since the beginning – USDT" in told
    assert "There is a gap" in told


def test_who_has_nothing_yet_is_told_when_there_will_be_a_line(visitor):
    told = words_in(visitor.get("portfolio/"))
    assert "Balance and positions 1,000.00 USDT" in told
    assert "Profit since the beginning 0.00 USDT" in told
    assert "as soon as there are two hours" in told


@pytest.mark.parametrize("span", SPAN_NAMES)
def test_a_span_is_chosen_and_kept(visitor, option, span):
    place_open(visitor.customer, option)
    portfolio.measure(now=timezone.now())
    kept(visitor.customer, "100", "90")
    html = visitor.get("portfolio/", past=span)
    assert re.search(rf'id="past-{span}"[^>]* aria-current="true"', html)
    assert f'name="past" value="{span}"' in html
    assert html.count("<polyline") == 2
    assert visitor.http.get("/trade/", {"past": span}).content.decode().count(f'name="past" value="{span}"')


def test_the_api_tells_the_same(new_visitor, option):
    from tests.support.api import Caller

    visitor, another = new_visitor(), new_visitor()
    place_open(visitor.customer, option)
    kept(visitor.customer, "100", None, "90")
    caller = Caller(visitor.customer)
    told = caller.get("portfolio", span="day").json()
    assert [(point["value"], point["profit"]) for point in told["points"]] == [
        ("1000.000000", "0.000000"),
        (None, None),
        ("990.000000", "-10.000000"),
    ]
    assert Caller(another.customer).get("portfolio").json() == {"points": []}
    assert error_of(caller.get("portfolio", span="1d"), 400)["code"] == "invalid_request"

"""What is held: one row an option, its positions inside, a page at a time, and totals of everything."""

from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from counter.models import Position
from counter.orders.requests import OpenRequest
from tests.support.factories import (
    make_option,
    make_options,
    make_quote,
    place,
    place_close,
    place_open,
    unique,
)
from tests.support.public_ids import position_id
from tests.support.visiting import words_in
from trade.holdings import OPTIONS_A_PAGE, POSITIONS_A_PAGE, holdings_of

# 10,000 positions in 40 options of five sizes each, and as many that are closed.
MANY = """
    INSERT INTO counter_position
        (id, customer_id, option_id, contracts, remaining, unpaid, cost, proceeds, state, opened_at)
    SELECT n, %s, (%s::bigint[])[1 + n %% 40], 5, 1 + n %% 5, 0, 20 + n %% 7, n %% 3,
           CASE WHEN n <= 10000 THEN 'OPEN' ELSE 'CLOSED' END, now()
    FROM generate_series(1, 20000) AS n
"""


def test_positions_of_an_option_are_one_row_and_are_closed_from_inside(visitor, option):
    opened = [place_open(visitor.customer, option, contracts=count) for count in (1, 2, 3)]
    place_close(opened[2], contracts=1)
    html = visitor.get("book/")
    # 5 left at 17.91 each, 6 cost 135.68, one closed brought 17.91.
    row = f"{option.symbol} 5 contracts in 3 positions · 17.91 USDT paid for 1 closed 135.68 89.55 −28.22 Close …"
    assert row in words_in(html)
    assert f"position={position_id(opened[0].position_id)}" not in html
    inside = visitor.get("book/", opened=option.symbol)
    for order, left in zip(opened, (1, 2, 2), strict=True):
        assert f"Position {position_id(order.position_id)} {left} contract" in words_in(inside)
        assert f"position={position_id(order.position_id)}" in inside
    assert f'name="opened" value="{option.symbol}"' in inside, "refreshing keeps it open"


def test_one_position_is_closed_from_its_row(visitor, option):
    opened = place_open(visitor.customer, option)
    assert f"position={position_id(opened.position_id)}" in visitor.get("book/")
    assert "Position" not in words_in(visitor.get("book/", opened=option.symbol)).replace("Positions", "")


def test_positions_inside_are_paged(visitor, option):
    requests = [
        OpenRequest(
            customer_id=visitor.customer.pk, client_order_id=unique("open"), symbol=option.symbol, contracts=1
        )
        for _ in range(POSITIONS_A_PAGE + 1)
    ]
    orders = place(*requests)
    first = visitor.get("book/", opened=option.symbol)
    assert f"Position {position_id(orders[0].position_id)} " not in words_in(first)
    older = position_id(orders[1].position_id)
    assert f"before={older}" in first
    second = visitor.get("book/", opened=option.symbol, before=older)
    assert f"Position {position_id(orders[0].position_id)} " in words_in(second)
    assert f"Position {position_id(orders[1].position_id)} " not in words_in(second)
    assert f'name="before" value="{older}"' in second


def test_options_are_paged_and_totals_are_of_all(visitor):
    held = make_options(80_000 + 1000 * number for number in range(OPTIONS_A_PAGE + 1))
    for option in held:
        place_open(visitor.customer, option)
    first, second = visitor.get("book/"), visitor.get("book/", page=2)
    assert f"Worth now {17.91 * len(held):.2f} USDT" in words_in(first)
    assert held[0].symbol not in first.split("Newest orders")[0]
    assert held[0].symbol in second.split("Newest orders")[0]
    assert f"Worth now {17.91 * len(held):.2f} USDT" in words_in(second)
    assert "Page 2 of 2" in words_in(visitor.get("book/", page=99))


def test_totals_say_what_they_leave_out(visitor, option):
    other = make_option(strike=95_000)
    for each in (option, other):
        place_open(visitor.customer, each)
    make_quote(other, bid=None)
    told = words_in(visitor.get("book/"))
    assert "Worth now 17.91 USDT" in told
    assert "Without 1 option that cannot be priced: nobody bids for it now." in told
    assert "Account value – USDT" in told


def test_no_profit_is_told_while_a_payout_is_to_come(visitor, option):
    opened = place_open(visitor.customer, option, contracts=3)
    place_close(opened, contracts=1, payout="at_fill")
    told = words_in(visitor.get("book/"))
    assert "2 contracts · a payout is still to come" in told
    assert "35.82 – Close" in told
    assert "Account value – USDT" in told


def test_positions_are_closed_from_the_history_too(visitor, option):
    opened = place_open(visitor.customer, option)
    assert f"/trade/?position={position_id(opened.position_id)}#ticket" in visitor.get("history/positions/")
    place_close(opened)
    assert "?position=" not in visitor.get("history/positions/")


@pytest.fixture
def many(visitor):
    """A customer of 10,000 open positions, and 10,000 that are closed."""
    options = make_options(range(70_000, 110_000, 1000))
    with connection.cursor() as cursor:
        cursor.execute(MANY, [visitor.customer.pk, [option.pk for option in options]])
    return visitor


def test_totals_of_10000_positions_are_exact_and_ask_three_times(many, django_assert_num_queries):
    with django_assert_num_queries(3):
        found = holdings_of(customer_id=many.customer.pk, now=timezone.now())
    living = Position.objects.filter(customer=many.customer, state="OPEN")
    sizes, costs, paid = zip(*living.values_list("remaining", "cost", "proceeds"), strict=True)
    assert found.totals.positions == len(sizes) == 10_000
    assert found.totals.cost == sum(costs)
    assert found.totals.worth == sum(sizes) * Decimal("17.91")
    assert found.totals.profit == found.totals.worth + sum(paid) - found.totals.cost
    assert len(found.rows) == OPTIONS_A_PAGE

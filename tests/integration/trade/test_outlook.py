"""What people look at before they buy: delta and volatility, odds, what comes of it, how many for a sum."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from counter.market.outlook import Outlook
from counter.market.quote_greeks import greeks_by_option
from counter.models import Quote
from tests.integration.trade.test_page import chain
from tests.support.factories import make_option, make_quote, place_close, place_open
from tests.support.public_ids import position_id
from tests.support.visiting import forms_in, words_in


def test_chain_has_delta_and_volatility_and_the_time_that_is_left(visitor, option):
    make_option(kind="P", bid="0.030000", ask="0.031000")
    html = chain(visitor, option)
    known = greeks_by_option(Quote.objects.select_related("option"), now=timezone.now())
    assert 0.5 < known[option.pk].delta < 0.6  # at the money, half a lognormal's width above a half
    assert (
        f"Puts Delta IV Close Buy Strike Buy Close IV Delta {known[option.pk].delta:.2f} 50 % 17.91"
        in words_in(html)
    )
    assert "50 % −0.4" in words_in(html)
    assert "in 29 days" in words_in(html) or "in 28 days" in words_in(html) or "in 30 days" in words_in(html)
    make_quote(option, now=timezone.now() - timedelta(seconds=60))
    assert "– – – – 90,000" in words_in(chain(visitor, option))


def test_worth_elsewhere_is_that_of_the_quote_there(option):
    quote = Quote.objects.select_related("option").get(option=option)
    now = timezone.now()
    outlook = Outlook(quote, now=now)
    there = Decimal(95_000)
    make_quote(option, index=there, now=now)
    moved = Quote.objects.select_related("option").get(option=option)
    value = greeks_by_option([moved], now=now)[option.pk].value
    assert outlook.worth_at(there) == round(Decimal(value), 2)
    assert outlook.chance_beyond(Decimal(1)) == 1
    assert Decimal("0.4") < outlook.chance_beyond(option.strike) < Decimal("0.5")
    Quote.objects.filter(option=option).update(quoted_at=now)
    assert Outlook(quote, now=option.expires_at + timedelta(seconds=1)).worth_at(there) is None


def test_ticket_tells_the_chance_of_a_profit_and_draws_today(visitor, option):
    html = visitor.get("ticket/", symbol=option.symbol)
    assert "Chance of profit by today's prices: 4" in words_in(html)  # 92,261 in a month at 50 %
    assert 'class="today"' in html


def test_a_position_shows_what_keeping_it_brings_for_its_part_of_the_cost(visitor, option):
    opened = place_open(visitor.customer, option, contracts=4)  # 90.45
    place_close(opened, contracts=2)
    told = words_in(visitor.get("ticket/", position=position_id(opened.position_id)))
    assert "Profit if you keep it to expiry; it breaks even at 92,261.25" in told
    assert "At most 45.23 USDT are lost." in told


@pytest.mark.parametrize(("money", "contracts"), [("22.62", 1), ("100", 4), ("113.0625", 5)])
def test_a_sum_buys_as_many_contracts_as_it_pays(visitor, option, money, contracts):
    html = visitor.get("ticket/", symbol=option.symbol, usdt=money)
    assert f'data-contracts="{contracts}"' in html
    [draft] = forms_in(html, "quotes")
    order = forms_in(visitor.send("quotes", draft).content.decode(), "orders")[0]
    assert order["contracts"] == str(contracts)


def test_a_sum_that_does_not_pay_one_contract_says_what_one_costs(visitor, option):
    html = visitor.get("ticket/", symbol=option.symbol, usdt="22.61")
    assert "One contract costs more than that: 22.62 USDT." in words_in(html)
    assert "disabled>Get a firm price" in html

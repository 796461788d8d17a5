"""What the page shows: prices, what is unusual about them, positions with their value, orders on their way."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from counter.models import Option, Position, Quote, SyncOrder, TradingStatus
from counter.models.switches import ALL_COINS
from counter.trading.switches import State, throw
from tests.support.factories import make_option, make_quote, place_close, place_open
from tests.support.public_ids import order_id, position_id
from tests.support.visiting import words_in


def trade_as(state, *reasons, coin="BTC"):
    now = timezone.now()
    TradingStatus.objects.update_or_create(
        underlying=coin,
        defaults={
            "state": state,
            "spread_rate": Decimal("0.02"),
            "reasons": list(reasons),
            "since": now,
            "judged_at": now,
        },
    )


def expiry_of(option):
    return option.expires_at.date().isoformat()


def chain(visitor, option):
    return visitor.get("chain/", coin=option.underlying, expiry=expiry_of(option))


def test_chain_has_calls_left_puts_right_and_marks_what_is_at_the_money(visitor, option):
    make_option(kind="P", bid="0.030000", ask="0.031000")
    make_option(strike=95_000, bid="0.010000", ask="0.012000")
    later = make_option(days=60)
    told = words_in(chain(visitor, option))
    assert "Close Buy Strike Buy Close" in told
    # A contract is 0.01 BTC: 22.50 and the spread of 0.5 %, up; 18.00 less it, down.
    assert "17.91 22.62 90,000 at the money 28.04 26.86" in told
    assert "8.95 10.86 95,000" in told
    assert later.symbol not in chain(visitor, option)
    assert "at the money" not in told.split("95,000")[1]


def test_a_chain_of_a_day_without_options_is_empty(visitor, option):
    for day in ("0001-01-01", "9999-12-31"):
        assert "There are no BTC options" in words_in(visitor.get("chain/", coin="BTC", expiry=day))


def test_page_offers_every_coin_and_expiry_and_shows_the_nearest(visitor, option):
    later = make_option(days=60)
    ether = make_option(underlying="ETH")
    page = visitor.http.get("/trade/").content.decode()
    assert option.symbol in page
    assert later.symbol not in page
    assert f"expiry={expiry_of(later)}" in page
    assert ether.symbol in visitor.http.get("/trade/?coin=ETH").content.decode()
    for nonsense in ("?coin=XYZ", "?expiry=2026-02-31", "?symbol=nothing", "?position=x"):
        assert option.symbol in visitor.http.get(f"/trade/{nonsense}").content.decode()
    for nonsense in ("?coin=BTC%00", "?symbol=%00"):
        assert option.symbol in visitor.http.get(f"/trade/{nonsense}").content.decode()


def test_page_without_any_option_says_so(visitor):
    assert "no BTC options with a price" in words_in(visitor.http.get("/trade/").content.decode())


def test_prices_that_are_too_old_are_not_shown_and_banner_rows_and_ticket_say_the_same(visitor, option):
    opened = place_open(visitor.customer, option)
    assert "seconds old" not in words_in(chain(visitor, option))
    make_quote(option, now=timezone.now() - timedelta(seconds=20))
    html = chain(visitor, option)
    assert re.search(
        r"Nobody can buy BTC options at the moment: the last prices are \d+ seconds old\.", words_in(html)
    )
    assert "What you hold can still be closed, for less with every second" in words_in(html)
    # 18 USDT less 2 % times (20 / 10)², and more with every moment that the test takes.
    assert re.search(r"16\.\d\d , an old price that shrinks – 90,000", words_in(html))
    assert re.search(r"16\.\d\d old price, shrinks", words_in(visitor.get("book/")))
    assert "The price is old." in words_in(visitor.get("ticket/", position=position_id(opened.position_id)))
    assert "too old to buy at" in words_in(visitor.get("ticket/", symbol=option.symbol))
    make_quote(option, now=timezone.now() - timedelta(seconds=200))
    html = chain(visitor, option)
    assert "can neither be bought nor closed at the moment: the last prices are 3 minutes old" in words_in(
        html
    )
    assert "– – 90,000" in words_in(html)
    told = words_in(visitor.get("book/"))
    assert "Worth now – USDT Profit – USDT" in told
    assert "There is no worth to tell: the last price is too old to close on." in told
    assert "0.00" not in told.split("Newest orders")[0].replace("00.00", "")
    assert "The last price is too old" in words_in(
        visitor.get("ticket/", position=position_id(opened.position_id))
    )


def test_one_old_price_among_new_ones_is_a_dash(visitor, option):
    old = make_option(strike=95_000)
    make_quote(old, now=timezone.now() - timedelta(seconds=60))
    told = words_in(chain(visitor, option))
    assert "Where there is a dash, the last price is too old to trade at." in told
    assert "– – 95,000" in told
    assert "17.91 22.62 90,000" in told


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        (
            "HALTED",
            "venue_halted",
            "Nobody can buy BTC options at the moment: the market where we trade takes no orders.",
        ),
        ("WIDE", "unsettled", "BTC options cost more, and bring less, than usual: earlier orders are still"),
    ],
)
def test_a_coin_that_is_not_traded_as_usual_says_why(visitor, option, state, reason, told):
    trade_as(state, reason)
    html = chain(visitor, option)
    assert told in words_in(html)
    assert ('class="price"' in html) == (state == "WIDE")


def test_what_a_person_has_stopped_is_said_and_cannot_be_pressed(visitor, option):
    opened = place_open(visitor.customer, option)
    trade_as("NORMAL")
    for state, told in (
        ("OPENS_STOPPED", "trading has been stopped by hand. What you hold can still be closed."),
        ("ALL_STOPPED", "can neither be bought nor closed at the moment: trading has been stopped by hand."),
    ):
        throw(underlying=ALL_COINS, to=State(state), reason="a test", by="test", now=timezone.now())
        html = chain(visitor, option)
        assert told in words_in(html)
        assert 'class="price"' not in html
        can_close = state == "OPENS_STOPPED"
        assert (f"position={position_id(opened.position_id)}" in visitor.get("book/")) == can_close
        assert (
            "You get, about" in visitor.get("ticket/", position=position_id(opened.position_id))
        ) == can_close


def test_an_option_that_is_halted_cannot_be_chosen(visitor, option):
    Option.objects.filter(pk=option.pk).update(state="HALTED")
    html = chain(visitor, option)
    assert "halted" in words_in(html)
    assert 'class="price"' not in html


def test_position_is_shown_with_what_closing_it_would_bring_now(visitor, option):
    place_open(visitor.customer, option, contracts=4)
    html = visitor.get("book/")
    # 4 at 17.91 each; they cost 90.45.
    assert f"{option.symbol} 4 contracts 90.45 71.64 −18.81 Close" in words_in(html)
    assert "Worth now 71.64 USDT Profit −18.81 USDT Cost 90.45 USDT Account value 981.19 USDT" in words_in(
        html
    )
    assert "909.55 USDT" in words_in(html)


def test_position_without_a_price_says_why(visitor, option):
    order = place_open(visitor.customer, option)
    make_quote(option, now=timezone.now() - timedelta(seconds=20))
    assert "old price" in words_in(visitor.get("book/"))
    make_quote(option, now=timezone.now() - timedelta(seconds=60))
    assert "the last price is too old to close on" in words_in(visitor.get("book/"))
    make_quote(option, bid=None)
    assert "nobody bids for it now" in words_in(visitor.get("book/"))
    Quote.objects.all().delete()
    assert "nobody bids for it now" in words_in(visitor.get("book/"))
    Option.objects.filter(pk=option.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired; it is settled at the average index" in words_in(visitor.get("book/"))
    assert f"position={position_id(order.position_id)}" not in visitor.get("book/")


def test_position_that_waits_for_its_payout_is_closing_and_goes_when_it_is_paid(visitor, option):
    opened = place_open(visitor.customer, option)
    place_close(opened, payout="at_fill")
    told = words_in(visitor.get("book/"))
    assert "closing: you are paid when it has been sold in the market" in told
    assert "when it is sold accepted" in told
    Position.objects.update(state="CLOSED", unpaid=0)
    assert "You hold no options" in words_in(visitor.get("book/"))
    assert "closed" in words_in(visitor.get("history/positions/"))


def test_order_is_shown_on_its_way(visitor, option):
    order = place_open(visitor.customer, option)
    for state, told in (("PENDING", "accepted"), ("SYNCED", "in progress"), ("SETTLED", "done")):
        SyncOrder.objects.filter(pk=order.id).update(state=state, settlement_price=Decimal("90001.5"))
        assert f"−22.62 {told}" in words_in(visitor.get("book/"))
        assert f"Order {order_id(order.id)}: {told}" in words_in(visitor.get(f"orders/{order_id(order.id)}/"))
    status = visitor.http.get(f"/trade/orders/{order_id(order.id)}/").status_code
    assert status == 286, "htmx goes on asking for an order that is settled"


def test_the_last_answer_of_an_order_brings_what_it_has_left(visitor, option):
    order = place_open(visitor.customer, option)
    on_its_way = visitor.get(f"orders/{order_id(order.id)}/", page=1)
    assert "hx-swap-oob" not in on_its_way
    SyncOrder.objects.filter(pk=order.id).update(state="SETTLED", settlement_price=Decimal("90001.5"))
    settled = visitor.get(f"orders/{order_id(order.id)}/", page=1)
    assert '<div id="book" hx-swap-oob="patch:#book">' in settled
    assert "Balance 977.38 USDT" in words_in(settled)
    assert f"{option.symbol} 1 contract " in words_in(settled)


def test_an_end_by_expiry_is_told(visitor, option):
    place_open(visitor.customer, option)
    for state, told in (
        ("EXERCISED", "expired with a value, which was paid out"),
        ("EXPIRED", "expired without a value"),
    ):
        Position.objects.update(state=state, remaining=0)
        assert told in words_in(visitor.get("history/positions/"))
    Option.objects.update(settlement_index=Decimal("91000.5"))
    assert "expired without a value, at 91,000.50" in words_in(visitor.get("history/positions/"))


def test_ledger_can_be_taken_along_as_a_file(visitor):
    [address] = re.findall(r'href="(/api/v1/ledger.csv[^"]+)"', visitor.get("history/ledger/"))
    answer = visitor.http.get(address)
    assert answer.status_code == 200
    assert b"deposit" in answer.getvalue()


def test_history_goes_back_page_by_page_to_the_first_deposit(visitor, option):
    orders = [place_open(visitor.customer, option).id for _ in range(30)]
    for kind, last in (
        ("orders", f"order {order_id(orders[0])} "),
        ("positions", option.symbol),
        ("ledger", "deposit"),
    ):
        first_page = visitor.get(f"history/{kind}/")
        query = first_page.split("?before=")
        while len(query) > 1:
            page = visitor.get(f"history/{kind}/", before=query[1].split('"')[0])
            query = page.split("?before=")
        assert last in words_in(page)
        assert last not in words_in(first_page) or kind == "positions"
    assert visitor.http.get("/trade/history/secrets/").status_code == 404


@pytest.mark.parametrize(
    ("address", "statements"), [("chain/", 13), ("book/", 13), ("portfolio/", 13), ("", 16)]
)
def test_refreshing_asks_the_database_a_few_times_however_much_there_is(
    visitor, option, address, statements, django_assert_max_num_queries
):
    for strike in range(80_000, 100_000, 1000):
        made = make_option(strike=strike)
        place_open(visitor.customer, made)
    with django_assert_max_num_queries(statements):
        visitor.http.get(f"/trade/{address}", query_params={"coin": "BTC", "expiry": expiry_of(option)})

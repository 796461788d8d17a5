"""A ticket from the choice to the order: firm for its time, sent twice and placed once, honest when it goes wrong."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from counter.models import Account, FirmQuote, Option, SyncOrder
from counter.ordering.gate import GateFull, OutcomeUnknown, gate
from tests.integration.trade.test_page import trade_as
from tests.support.factories import make_quote, place_close, place_open
from tests.support.threads import at_once
from tests.support.visiting import forms_in, words_in


def balance(visitor):
    return Account.objects.get(customer=visitor.customer).balance


def placed(visitor):
    return SyncOrder.objects.filter(customer=visitor.customer).order_by("id")


def test_draft_shows_cost_with_the_spread_apart_and_what_it_brings_at_expiry(visitor, option):
    told = words_in(visitor.get("ticket/", symbol=option.symbol, contracts=4))
    assert "Option 90.000000 Spread +0.450000 Cost, about 90.450000 USDT" in told
    # 90.45 USDT for 0.04 BTC: 2,261.25 USDT a coin above the strike.
    assert "breaks even at 92,261.25" in told
    assert "At most 90.45 USDT are lost" in told
    assert "92,261.25 break-even 90.45 0.00" in told
    assert "90,000 strike 0.00 −90.45" in told


@pytest.mark.parametrize("contracts", ["0", "-1", "1.5", "x", "", "1000001", "9" * 40])
def test_a_number_of_contracts_that_makes_no_sense_is_not_traded(visitor, option, contracts):
    html = visitor.get("ticket/", symbol=option.symbol, contracts=contracts)
    assert 'value="1" data-select' in html.replace("\n", " ")


def test_order_gets_exactly_the_price_that_was_firm(visitor, option):
    order = visitor.firm(option, contracts=2)
    make_quote(option, ask="0.050000")
    answer = visitor.send("orders", order)
    assert answer.status_code == 200
    assert f"Bought 2 {option.symbol} for 45.225 USDT" in words_in(answer.content.decode())
    [stored] = placed(visitor)
    assert (stored.amount, stored.quote_id) == (Decimal("45.225"), int(order["quote_id"]))
    assert balance(visitor) == Decimal("954.775")


def test_whatever_is_sent_at_once_or_again_is_one_order(visitor, option):
    order = visitor.firm(option)
    answers = at_once([lambda: visitor.send("orders", order) for _ in range(4)])
    assert [answer.status_code for answer in answers] == [200] * 4
    assert visitor.send("orders", order).status_code == 200
    assert placed(visitor).count() == 1
    assert balance(visitor) == Decimal("977.3875")


def test_a_ticket_with_a_new_price_after_a_lost_answer_does_not_buy_twice(visitor, option):
    first = visitor.firm(option)
    visitor.send("orders", first)
    second = visitor.firm(option, client_order_id=first["client_order_id"])
    assert second["quote_id"] != first["quote_id"]
    answer = visitor.send("orders", second)
    told = words_in(answer.content.decode())
    assert answer.status_code == 409
    assert "An earlier press of this ticket was taken: it is the order below. This one was not." in told
    assert f"Order {placed(visitor).get().pk}: accepted" in told


@pytest.mark.parametrize("name", ["exercise/1017", "x" * 65, "a\x00b", "a b", "a\n"])
def test_an_order_has_no_name_that_the_api_would_refuse(visitor, option, name):
    order = visitor.firm(option)
    for address in ("orders", "quotes"):
        assert visitor.send(address, {**order, "client_order_id": name}).status_code == 404
    assert visitor.http.get("/trade/orders/outcome/", {"client_order_id": name}).status_code == 204
    assert not placed(visitor)


def test_each_ticket_has_a_name_of_its_own_that_a_new_price_keeps(visitor, option):
    first, second = visitor.firm(option), visitor.firm(option)
    assert first["client_order_id"] != second["client_order_id"]
    again = visitor.firm(option, client_order_id=first["client_order_id"])
    assert again["client_order_id"] == first["client_order_id"]


def test_a_price_that_has_expired_buys_nothing_and_can_be_renewed(visitor, option):
    order = visitor.firm(option)
    FirmQuote.objects.update(expires_at=timezone.now() - timedelta(milliseconds=1))
    answer = visitor.send("orders", order)
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "The firm price had expired when the order arrived. Nothing was bought or closed." in words_in(
        html
    )
    [draft] = forms_in(html, "quotes")
    assert draft["client_order_id"] == order["client_order_id"]
    renewed = forms_in(visitor.send("quotes", draft).content.decode(), "orders")[0]
    assert visitor.send("orders", renewed).status_code == 200
    assert placed(visitor).count() == 1


def test_refusals_say_what_happened_and_what_to_do(visitor, option, new_visitor):
    poor = new_visitor(balance="5")
    answer = poor.send("orders", poor.firm(option))
    told = words_in(answer.content.decode())
    assert "This costs more than your balance. Choose fewer contracts, or deposit USDT." in told
    order = visitor.firm(option)
    trade_as("HALTED", "exposure")
    assert "Nobody can buy options of this coin" in words_in(visitor.send("orders", order).content.decode())
    assert visitor.send("quotes", order).status_code == 409
    assert not placed(visitor)


def test_close_at_the_firm_price_is_paid_at_once(visitor, option):
    opened = place_open(visitor.customer, option, contracts=3)
    before = balance(visitor)
    order = visitor.firm(position=opened.position_id, contracts=2)
    make_quote(option, bid="0.001000")
    answer = visitor.send("orders", order)
    assert f"Closed 2 {option.symbol} for 35.82 USDT" in words_in(answer.content.decode())
    assert balance(visitor) == before + Decimal("35.82")
    assert "1 of 3 contracts · open" in words_in(visitor.get("book/"))


def test_close_at_fill_is_paid_later(visitor, option):
    opened = place_open(visitor.customer, option, contracts=3)
    before = balance(visitor)
    [order] = forms_in(visitor.get("ticket/", position=opened.position_id), "orders")
    assert (order["payout"], order["contracts"]) == ("at_fill", "3")
    answers = [visitor.send("orders", order) for _ in range(2)]
    for answer in answers:
        told = words_in(answer.content.decode())
        assert f"Closed 3 {option.symbol}. You are paid when the venue has traded." in told
    assert balance(visitor) == before
    assert placed(visitor).count() == 2


def test_more_than_is_left_is_not_closed(visitor, option):
    opened = place_open(visitor.customer, option, contracts=3)
    assert "3 contracts are left" in words_in(
        visitor.get("ticket/", position=opened.position_id, contracts=4)
    )
    [draft] = forms_in(visitor.get("ticket/", position=opened.position_id), "quotes")
    answer = visitor.send("quotes", {**draft, "contracts": "4"})
    assert "Fewer contracts than that are left" in words_in(answer.content.decode())
    place_close(opened)
    assert "Nothing is left of it to close" in words_in(visitor.get("ticket/", position=opened.position_id))


def test_an_answer_that_is_not_known_is_said_to_be_and_found_by_asking(visitor, option, monkeypatch):
    order = visitor.firm(option)
    asked = {"client_order_id": order["client_order_id"]}
    assert visitor.http.get("/trade/orders/outcome/", asked).status_code == 204
    place = gate.place

    def lose_the_answer(requests):
        place(requests)
        raise OutcomeUnknown("no answer from the database in time")

    monkeypatch.setattr(gate, "place", lose_the_answer)
    answer = visitor.send("orders", order)
    assert answer.status_code == 503
    assert "It is not known whether this order was taken" in words_in(answer.content.decode())
    [again] = forms_in(answer.content.decode(), "orders")
    assert {**again, "csrfmiddlewaretoken": ""} == {**order, "csrfmiddlewaretoken": ""}
    assert "Bought 1" in words_in(visitor.get("orders/outcome/", **asked))
    monkeypatch.undo()
    assert visitor.send("orders", order).status_code == 200
    assert placed(visitor).count() == 1


def test_a_full_gate_says_that_nothing_was_done(visitor, option, monkeypatch):
    def refuse(requests):
        raise GateFull("2048 orders wait already")

    monkeypatch.setattr(gate, "place", refuse)
    answer = visitor.send("orders", visitor.firm(option))
    assert answer.status_code == 409
    assert "Nothing was done with this one" in words_in(answer.content.decode())


def test_forms_work_without_scripts(visitor, option):
    page = visitor.http.get(f"/trade/?symbol={option.symbol}").content.decode()
    [draft] = forms_in(page, "quotes")
    firm = visitor.http.post("/trade/quotes/", draft).content.decode()
    assert "<!doctype html>" in firm
    [order] = forms_in(firm, "orders")
    done = visitor.http.post("/trade/orders/", order).content.decode()
    assert f"Bought 1 {option.symbol}" in words_in(done)
    assert "1 of 1 contracts · open" in words_in(done)


def test_a_halted_option_is_not_quoted_and_can_be_closed(visitor, option):
    opened = place_open(visitor.customer, option)
    [draft] = forms_in(visitor.get("ticket/", symbol=option.symbol), "quotes")
    Option.objects.filter(pk=option.pk).update(state="HALTED")
    assert "Nobody can buy it at the moment" in words_in(visitor.get("ticket/", symbol=option.symbol))
    answer = visitor.send("quotes", draft)
    assert "Nobody can buy this option at the moment" in words_in(answer.content.decode())
    assert visitor.send("orders", visitor.firm(position=opened.position_id)).status_code == 200

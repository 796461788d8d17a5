"""Closing all positions of an option in one press: each at its firm price, once, and with an outcome of its own."""

import re
from decimal import Decimal

import pytest
from django.http import QueryDict

from counter.models import Account, FirmQuote, Position, Quote, SyncOrder, TradingStatus
from counter.public_ids import DIGITS
from counter.trading.depths import change_depths
from infra.coordination import clock
from tests.support.factories import make_option, place_close, place_open
from tests.support.public_ids import position_id
from tests.support.visiting import words_in
from trade import closing_all
from trade.closing_all import LONGEST_NAME


@pytest.fixture
def held(visitor, option):
    """Positions of one, two and three contracts."""
    return [place_open(visitor.customer, option, contracts=n) for n in (1, 2, 3)]


def fields_of(html):
    """What the form of a firm ticket sends."""
    [name] = set(re.findall(r'name="client_order_id" value="([^"]+)"', html))
    return {
        "closing": re.search(r'name="closing" value="([^"]+)"', html).group(1),
        "client_order_id": name,
        "quote_id": re.findall(r'name="quote_id" value="(\w+)"', html),
    }


def firm(visitor, option):
    """The fields of the second step, and what it says."""
    first = visitor.get("ticket/", closing=option.symbol)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', first).group(1)
    asked = {name: value for name, value in fields_of(first).items() if name != "quote_id"}
    answer = visitor.send("closing/quotes", asked | {"csrfmiddlewaretoken": token})
    html = answer.content.decode()
    return fields_of(html) | {"csrfmiddlewaretoken": token}, html, answer.status_code


def states():
    return list(Position.objects.order_by("pk").values_list("state", flat=True))


def test_all_are_closed_at_the_prices_that_were_firm_and_once(visitor, option, held):
    shown = words_in(visitor.get("book/", opened=option.symbol))
    assert "Close all 3" in shown
    fields, html, status = firm(visitor, option)
    promised = FirmQuote.objects.filter(kind="CLOSE")
    total = sum(quote.amount for quote in promised)
    assert status == 200
    assert "Close 3 positions for 107.46 USDT" in words_in(html)
    Quote.objects.update(bid=Decimal("0.000100"))
    before = Account.objects.get(customer=visitor.customer).balance
    answer = visitor.send("closing/orders", fields)
    assert answer.status_code == 200
    told = words_in(answer.content.decode())
    assert "Closed 3 positions for 107.46 USDT." in told
    assert "You hold no options." in told
    assert states() == ["CLOSED"] * 3
    assert Account.objects.get(customer=visitor.customer).balance == before + total
    again = visitor.send("closing/orders", fields)
    assert "Closed 3 positions for 107.46 USDT." in words_in(again.content.decode())
    assert SyncOrder.objects.filter(kind="CLOSE").count() == 3
    assert Account.objects.get(customer=visitor.customer).balance == before + total


def test_what_is_refused_of_one_keeps_no_other_open_and_says_why(visitor, option, held):
    fields, _html, _status = firm(visitor, option)
    place_close(held[1])
    answer = visitor.send("closing/orders", fields)
    told = words_in(answer.content.decode())
    assert answer.status_code == 200
    assert "Closed 2 positions for 71.64 USDT. 1 position was not closed" in told
    assert f"Position {position_id(held[1].position_id)} 2 contracts – " in told
    assert told.count("· closed") == 2
    assert states() == ["CLOSED"] * 3


def test_an_option_without_a_price_is_not_closed_and_says_so(visitor, option, held):
    Quote.objects.update(bid=None)
    first = visitor.get("ticket/", closing=option.symbol)
    assert re.search(r'id="ask-firm" disabled', first)
    assert "nobody bids for it now" in words_in(first)
    html, status = _refused(visitor, option)
    assert status == 409
    assert "3 positions were not closed" in words_in(html)
    assert states() == ["OPEN"] * 3


def _refused(visitor, option):
    first = visitor.get("ticket/", closing=option.symbol)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', first).group(1)
    asked = {name: value for name, value in fields_of(first).items() if name != "quote_id"}
    answer = visitor.send("closing/quotes", asked | {"csrfmiddlewaretoken": token})
    return answer.content.decode(), answer.status_code


def test_more_than_firm_prices_are_given_for_are_closed_in_turns(visitor, option, held, settings):
    settings.FIRM_QUOTES_LIVE = 2
    assert "The 2 newest; 1 more come after them." in words_in(visitor.get("ticket/", closing=option.symbol))
    fields, _html, _status = firm(visitor, option)
    told = visitor.send("closing/orders", fields).content.decode()
    assert "Go on with what is left" in told
    assert states() == ["OPEN", "CLOSED", "CLOSED"]
    fields, html, _status = firm(visitor, option)
    assert "Close 1 position for 17.91 USDT" in words_in(html)
    visitor.send("closing/orders", fields)
    assert states() == ["CLOSED"] * 3
    assert visitor.http.get("/trade/", {"closing": option.symbol}).status_code == 200


def test_a_name_that_leaves_no_room_for_a_position_is_nobodys_order(visitor, option, held):
    fields, _html, _status = firm(visitor, option)
    for length, status in ((32, 404), (31, 200)):
        named = fields | {"client_order_id": "x" * length}
        assert visitor.send("closing/quotes", named).status_code == status
        assert visitor.send("closing/orders", named).status_code == status
        assert visitor.http.get("/trade/closing/outcome/", named).status_code == (
            200 if status == 200 else 204
        )
    assert LONGEST_NAME + len("-") + DIGITS == SyncOrder._meta.get_field("client_order_id").max_length
    assert states() == ["CLOSED"] * 3


def test_a_press_of_which_all_is_refused_says_why_and_has_no_button_to_press_again(visitor, option, held):
    fields, _html, _status = firm(visitor, option)
    for each in held:
        place_close(each)
    answer = visitor.send("closing/orders", fields)
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "3 positions were not closed: the reason stands beside each." in words_in(html)
    assert "no firm price" not in words_in(html)
    assert "data-while-firm" not in html


def test_asking_again_shows_the_prices_that_are_firm_already(visitor, option, held, settings):
    settings.FIRM_QUOTES_LIVE = 3
    first, _html, _status = firm(visitor, option)
    again, html, status = firm(visitor, option)
    assert (status, again["quote_id"]) == (200, first["quote_id"])
    assert "Close 3 positions for 107.46 USDT" in words_in(html)
    assert FirmQuote.objects.count() == 3
    visitor.send("closing/orders", again)
    assert states() == ["CLOSED"] * 3


def test_where_size_is_charged_the_sum_is_of_positions_closed_in_turn(visitor, option, held):
    """What is shown before there are firm prices is what these then say."""
    now = clock.of("default").now()
    given = QueryDict(f"closing={option.symbol}")

    def closing():
        return closing_all.close_all_of(customer_id=visitor.customer.pk, given=given, now=now)

    TradingStatus.objects.create(underlying="BTC", spread_rate="0.005", since=now, judged_at=now)
    before = closing().total
    change_depths(underlying="BTC", to={"premium": Decimal(1000)}, reason="a test", by="ann", now=now)
    shown = closing()
    # The worth of 6 contracts is 108 USDT: 0.001 / 2,000 * 108² = 0.005832 are charged, and 0.5 % less of it.
    assert before - shown.total == pytest.approx(Decimal("0.005803"), abs=Decimal("0.000003"))
    closing_all.quote_all(shown, customer_id=visitor.customer.pk, now=now)
    assert len(shown.firm) == 3
    assert shown.total == sum(part.worth.amount for part in shown.parts)


def test_firm_prices_of_other_things_leave_room_for_fewer_positions(visitor, option, held, settings):
    settings.FIRM_QUOTES_LIVE = 3
    visitor.firm(make_option())
    fields, html, status = firm(visitor, option)
    assert (status, len(fields["quote_id"])) == (200, 2)
    assert "Close 2 positions for 89.55 USDT" in words_in(html)
    assert "no firm price" not in words_in(html)
    assert "Go on with what is left" in visitor.send("closing/orders", fields).content.decode()
    assert states() == ["OPEN", "CLOSED", "CLOSED"]


def test_without_any_room_the_reason_is_told(visitor, option, held, settings):
    settings.FIRM_QUOTES_LIVE = 1
    visitor.firm(make_option())
    html, status = _refused(visitor, option)
    assert status == 409
    assert "1 position was not closed" in words_in(html)
    assert "Go on with what is left" in html


def test_what_became_of_a_press_is_read_at_once(visitor, option, held, django_assert_max_num_queries):
    now = clock.of("default").now()
    given = QueryDict(f"closing={option.symbol}")
    closing = closing_all.close_all_of(customer_id=visitor.customer.pk, given=given, now=now)
    closing_all.quote_all(closing, customer_id=visitor.customer.pk, now=now)
    with django_assert_max_num_queries(2):  # the orders are another thread's
        closing_all.place_all(closing, customer_id=visitor.customer.pk, until=None)
    assert len(closing.placed) == 3


def test_an_answer_that_was_lost_is_asked_for_by_the_same_names(visitor, option, held):
    fields, _html, _status = firm(visitor, option)
    asked = {name: value for name, value in fields.items() if name != "csrfmiddlewaretoken"}
    assert visitor.http.get("/trade/closing/outcome/", asked).status_code == 204
    visitor.send("closing/orders", fields)
    assert "Closed 3 positions" in words_in(visitor.get("closing/outcome/", **asked))


def test_what_is_anothers_is_not_closed(visitor, another, option, held):
    fields, _html, _status = firm(visitor, option)
    theirs = place_open(another.customer, option)
    _own, html, _status = firm(another, option)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html).group(1)
    answer = another.send("closing/orders", fields | {"csrfmiddlewaretoken": token})
    assert answer.status_code == 404
    assert states() == ["OPEN"] * 4
    assert Position.objects.get(pk=theirs.position_id).state == "OPEN"


def test_a_session_that_ended_leads_back_to_the_same_ticket(visitor, option, held):
    fields, _html, _status = firm(visitor, option)
    del visitor.http.cookies["sessionid"]
    answer = visitor.send("closing/orders", fields)
    assert answer.status_code == 401
    assert f"closing%3D{option.symbol}" in answer["HX-Redirect"]
    assert states() == ["OPEN"] * 3

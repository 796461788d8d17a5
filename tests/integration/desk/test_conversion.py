"""Converting: what is claimed, what is sent, under which id and at what limit, and what partial and no fills leave."""

from decimal import Decimal

import pytest
from django.utils import timezone

from acceptance.models import AcceptedOrder
from infra.coordination.leader import exclusive
from settlement.conversions import balancing
from settlement.conversions import converting as conversion
from settlement.funds import treasury
from settlement.models import Attempt, Carry, Conversion, DeskTransfer, StateChange
from settlement.task_triggers import converting
from settlement.venues.protocol import VenueError
from tests.support.desk_bench import (
    POST,
    Desk,
    assert_books_agree,
    at_once,
    event,
    order_states,
    states,
    take_in,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


def test_a_conversion_claims_all_that_waits_for_its_coin_and_the_carry(desk):
    Carry.objects.create(underlying="BTC", coin=Decimal("0.00012"), usdt=Decimal("10.8"))
    take_in(
        event(coin="0.01"), event(coin="0.02"), event(kind="CLOSE", coin="0.005"), event(underlying="ETH")
    )
    made = desk.convert()

    assert (made.order_count, made.bought, made.sold, made.crossed) == tuple(
        map(Decimal, ("3", "0.03", "0.005", "0.005"))
    )
    assert (made.side, made.quantity) == ("buy", Decimal("0.02512"))
    assert made.carry_in_coin == Decimal("0.00012")
    assert Carry.objects.get().coin == 0
    claimed = AcceptedOrder.objects.filter(conversion_id=made.pk)
    assert set(claimed.values_list("underlying", "state")) == {("BTC", "CONVERTING")}
    assert AcceptedOrder.objects.get(underlying="ETH").state == "RECEIVED"


def test_what_crosses_inside_the_desk_needs_no_venue_order(desk):
    made = desk.settle(event(coin="0.01"), event(kind="CLOSE", coin="0.01"))
    assert (made.side, made.quantity, made.price) == ("", 0, made.reference_price)
    assert desk.venue.submissions == []
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)


def test_what_is_below_the_lot_is_settled_and_carried_and_bought_with_the_next(desk):
    first = desk.settle(event(coin="0.000004"))
    assert (first.quantity, first.carry_out_coin) == (0, Decimal("0.000004"))
    assert desk.venue.submissions == []
    assert_books_agree(desk)

    second = desk.settle(event(coin="0.000996"))
    assert second.quantity == Decimal("0.001")
    fee_in_coin = Decimal("0.000001")  # taken by the venue from what it gave, and so to be bought later
    assert second.carry_out_coin == fee_in_coin
    assert_books_agree(desk)


def test_an_order_that_its_limit_would_take_below_the_least_notional_is_carried(desk):
    desk.paper.set_price("BTCUSDT", "83400")  # 0.00006 BTC are worth 5.004 USDT, at the limit of a sale 4.98
    made = desk.settle(event(kind="CLOSE", coin="0.00006", index_price="83400"))
    assert desk.venue.submissions == []
    assert made.carry_out_coin == Decimal("-0.00006")
    assert_books_agree(desk)


def test_more_than_the_venue_takes_at_once_is_carried_to_the_next(desk):
    take_in(event(kind="CLOSE", underlying="ETH", coin="4000"))  # 12 million USDT: the venue takes 9 at once
    made = desk.convert("ETH")
    assert 2900 < made.quantity < 3000
    assert (made.state, made.attempts) == ("FILLED", 2)  # with the funds it asked for, not refused


def test_a_carry_that_grew_large_is_converted_without_orders(desk):
    desk.paper.add_fault("thin_book", path="/api/v3/order", method="POST", count=1, factor="0.005")
    made = desk.settle(event(coin="1"))
    assert conversion.needs_conversion("BTC", now=timezone.now())
    rest = desk.convert()
    assert (rest.order_count, rest.side) == (0, "buy")
    assert rest.filled_coin == rest.quantity
    assert balancing.balance_filled(now=timezone.now()) == 1
    rest.refresh_from_db()
    assert made.filled_coin + rest.filled_coin > 1  # the fee in coin had to be bought too
    assert Carry.objects.get().coin < Decimal("0.001")  # what is left is the fee of the last purchase
    assert_books_agree(desk)


def test_a_partial_fill_settles_every_order_and_carries_the_rest(desk):
    desk.paper.add_fault("thin_book", path="/api/v3/order", method="POST", count=1, factor="0.005")
    made = desk.settle(event(coin="0.6"), event(coin="0.4"))

    assert 0 < made.filled_coin < made.quantity == 1
    assert order_states() == {"SETTLED"}
    fee = sum(fill.fee for fill in made.fills.all())
    assert made.carry_out_coin == 1 - made.filled_coin + fee
    (order,) = desk.venue_has("orders")
    assert (order["status"], Decimal(order["executedQty"])) == ("EXPIRED", made.filled_coin)
    assert_books_agree(desk)


def test_no_fill_releases_the_orders_and_the_carry_for_the_next_conversion(desk):
    Carry.objects.create(underlying="BTC", coin=Decimal("0.00002"), usdt=Decimal("1.8"))
    take_in(event(), event())
    desk.venue.before_submit = lambda _: desk.paper.set_price("BTCUSDT", "95000")  # above the band
    missed = desk.convert()

    assert missed.state == "MISSED"
    assert missed.venue_order_id
    assert set(AcceptedOrder.objects.values_list("state", "conversion_id")) == {("RECEIVED", None)}
    assert Carry.objects.get().coin == Decimal("0.00002")

    desk.venue.before_submit = None
    desk.venue.real._tops.clear()
    again = desk.convert()
    assert (again.state, again.quantity) == ("FILLED", missed.quantity)
    assert again.client_order_id != missed.client_order_id


def test_the_id_is_stored_before_the_venue_sees_it(desk):
    seen = {}

    def look(client_order_id: str) -> None:
        def committed() -> tuple[str, str]:
            attempt = Attempt.objects.get(request__client_order_id=client_order_id)
            return Conversion.objects.get(client_order_id=client_order_id).state, attempt.outcome

        (seen["desk"],) = at_once(committed)  # on a connection of its own: only what is committed is there
        seen["venue"] = desk.venue_has("orders")

    desk.venue.before_submit = look
    take_in(event())
    made = desk.convert()

    assert seen == {"desk": ("SUBMITTED", ""), "venue": []}
    (order,) = desk.venue_has("orders")
    assert order["clientOrderId"] == made.client_order_id


def test_every_step_leaves_its_row_of_history_and_every_call_its_answer(desk):
    made = desk.settle(event())
    history = StateChange.objects.filter(subject="conversion", subject_id=made.pk).order_by("id")
    assert list(history.values_list("from_state", "to_state")) == [
        ("", "PLANNED"),
        ("PLANNED", "SUBMITTED"),
        ("SUBMITTED", "FILLED"),
        ("FILLED", "BOOKED"),
    ]
    attempt = Attempt.objects.get(subject="conversion")
    assert (attempt.call, attempt.outcome) == ("submit", "done")
    assert attempt.answered_at >= attempt.sent_at
    assert made.client_order_id in attempt.answer
    assert "signature" not in str(attempt.request) + attempt.answer


def test_an_order_that_comes_late_is_refused_by_the_venue_itself(desk):
    take_in(event())
    real_stamp = desk.venue.real.stamp
    desk.venue.real.stamp = lambda: real_stamp() - 15_000  # the sender slept between its commit and its call
    made = desk.convert()
    assert made.state == "RETRY_WAIT"
    assert "InvalidNonce" in made.reason
    assert desk.venue_has("orders") == []


def test_a_clock_that_goes_wrong_is_set_by_the_venues(desk):
    exchange = desk.venue.real._exchange()
    right = exchange.milliseconds
    exchange.milliseconds = lambda: right() + 60_000
    take_in(event())
    made = desk.convert()
    assert made.state == "FILLED"
    # Refused, set right, sent again at once.
    assert desk.venue.submissions == [made.client_order_id] * 2
    refused, sent = Attempt.objects.filter(call="submit").order_by("id")
    assert (refused.code, refused.outcome, sent.outcome) == ("InvalidNonce -1021", "not_done", "done")
    desk.resume()
    assert states() == ["BOOKED"]
    assert_books_agree(desk)


def test_two_planners_at_once_claim_each_order_and_the_carry_once(desk):
    Carry.objects.create(underlying="BTC", coin=Decimal("0.00002"), usdt=Decimal("1.8"))
    take_in(*(event(coin="0.001") for _ in range(100)))
    market, top, now = desk.venue.market("BTC"), desk.venue.top_of_book("BTC"), timezone.now()

    def plan() -> int:
        planned = conversion.plan(underlying="BTC", market=market, top=top, now=now)
        return planned[0].pk if planned else 0

    at_once(*[plan] * 4)

    made = list(Conversion.objects.all())
    assert sum(row.order_count for row in made) == 100
    assert sum(row.carry_in_coin for row in made) == Decimal("0.00002")
    for row in made:
        assert AcceptedOrder.objects.filter(conversion_id=row.pk).count() == row.order_count


def test_the_books_are_open_before_the_first_order_and_opened_once(
    transactional_db, broker_url, venue, paper_venue, venue_account
):
    desk = Desk(venue, paper_venue, venue_account[0])
    take_in(event())
    at_once(*[lambda: treasury.open_books(venue=venue, now=timezone.now())] * 3, desk.convert)
    balancing.balance_filled(now=timezone.now())
    assert DeskTransfer.objects.filter(kind="capital", asset="USDT").count() == 2  # one for each wallet
    assert_books_agree(desk)


def test_orders_gather_while_a_conversion_of_their_coin_waits_to_be_sent_again(desk):
    desk.paper.add_fault("rate_limit", path="/api/v3/order", method="POST", count=1, retry_after_seconds=5)
    take_in(event())
    assert desk.convert().state == "RETRY_WAIT"
    take_in(event(), event())
    assert conversion.convert_waiting(underlying="BTC", venue=desk.venue, now=timezone.now()) is None

    desk.resume(after=10)
    assert states() == ["BOOKED"]
    assert desk.convert().order_count == 2
    assert len(desk.venue_has("orders")) == 2


def test_what_shrank_below_the_least_notional_while_it_waited_is_given_back(desk):
    desk.paper.add_fault("rate_limit", path="/api/v3/order", method="POST", count=1)
    take_in(event(coin="0.00006"))
    assert desk.convert().state == "RETRY_WAIT"
    desk.paper.set_price("BTCUSDT", "50000")
    desk.venue.real._tops.clear()
    desk.resume(after=10)
    assert states() == ["MISSED"]
    assert order_states() == {"RECEIVED"}
    assert len(desk.venue.submissions) == 1


def test_what_the_venue_refuses_again_and_again_is_given_back_to_be_netted_anew(desk):
    desk.paper.add_fault("rate_limit", path="/api/v3/order", method="POST")
    take_in(event())
    desk.convert()
    for step in range(1, 31):
        desk.resume(after=100 * step)
    assert states() == ["MISSED"]
    assert order_states() == {"RECEIVED"}
    assert desk.venue_has("orders") == []


def test_nothing_is_claimed_when_no_price_is_to_be_had(desk):
    take_in(event())
    desk.venue.real._tops.clear()
    desk.paper.add_fault("error_before", path="/api/v3/ticker")
    with pytest.raises(VenueError, match="ServerError"):
        desk.convert()
    assert order_states() == {"RECEIVED"}
    assert states() == []


def test_one_row_that_cannot_go_on_does_not_stop_the_others(desk):
    """The sweep passes over what raises, of any class."""
    for coin in ("BTC", "ETH"):
        desk.paper.add_fault("rate_limit", **POST, retry_after_seconds=0)
        take_in(event(underlying=coin, coin="0.1"))
        desk.convert(coin)
    Conversion.objects.filter(underlying="BTC").update(underlying="DOGE")
    desk.resume(after=10)
    assert states() == ["RETRY_WAIT", "BOOKED"]


def test_a_conversion_is_left_alone_while_its_sender_may_live_and_asked_for_when_it_cannot(desk):
    def die(_: str) -> None:
        raise KeyboardInterrupt

    desk.venue.before_submit = die
    take_in(event())
    with pytest.raises(KeyboardInterrupt):
        desk.convert()
    asked = Attempt.objects.filter(call=Attempt.Call.ASK)

    with exclusive(converting("BTC"), using="desk"):
        desk.resume(after=7)
        assert (states(), asked.count()) == (["SUBMITTED"], 0)
        desk.resume(after=9)
        assert (states(), asked.count()) == (["UNKNOWN"], 1)
    assert len(desk.venue.submissions) == 1


def test_a_conversion_whose_sender_is_gone_with_its_lock_is_asked_for_at_once(desk):
    def die(_: str) -> None:
        raise KeyboardInterrupt

    desk.venue.before_submit = die
    take_in(event())
    with pytest.raises(KeyboardInterrupt):
        desk.convert()
    desk.resume()
    assert (states(), Attempt.objects.filter(call=Attempt.Call.ASK).count()) == (["UNKNOWN"], 1)
    assert len(desk.venue.submissions) == 1


@pytest.mark.parametrize("kind", ["wide_book", "crossed_book", "one_sided_book"])
def test_nothing_is_sent_at_a_limit_of_an_odd_book(desk, kind):
    desk.paper.add_fault(kind, path="/api/v3/ticker/bookTicker")
    take_in(event(coin="0.5"))
    with pytest.raises(VenueError, match="a book that is"):
        desk.convert()
    assert desk.venue.submissions == []
    assert order_states() == {"RECEIVED"}
    desk.paper.clear_faults()
    made = desk.convert()
    assert made.filled_coin == Decimal("0.5")

"""Every code that a customer can meet has words on the trade page."""

import pytest

from counter.circuit_breaker import Reason, State
from counter.orders.requests import RejectCode
from counter.trading.status import Trading
from trade import customer_texts


def states_of(model):
    return {str(value) for value in model.State.values}


def test_every_refusal_says_what_happened_and_what_to_do():
    assert set(customer_texts.REFUSALS) == set(RejectCode)
    for happened, to_do in customer_texts.REFUSALS.values():
        assert happened.endswith(".")
        assert to_do.endswith(".")


def test_every_cause_and_every_state_has_words():
    from counter.models import Position, SyncOrder

    assert set(customer_texts.REASONS) == set(Reason)
    assert set(customer_texts.POSITION_STATES) == states_of(Position)
    assert set(customer_texts.ORDER_STATES) == states_of(SyncOrder)
    assert set(customer_texts.ORDER_KINDS) == set(SyncOrder.Kind.values)


def test_a_code_without_words_is_told_as_it_is():
    assert customer_texts.refusal("moon_is_full", "the moon is full")[0] == "The moon is full."
    assert customer_texts.reasons(["moon_is_full"]) == "moon is full"


@pytest.mark.parametrize("takes_closes", [True, False])
@pytest.mark.parametrize("state", State)
def test_notice_is_a_sentence_or_nothing(state, takes_closes):
    trading = Trading(state, reasons=(Reason.EXPOSURE, Reason.REOPENING), takes_closes=takes_closes)
    told = customer_texts.notice("BTC", trading)
    assert (told == "") == (state is State.NORMAL and takes_closes)
    assert told == "" or told.endswith(".")
    assert ":" not in customer_texts.notice("BTC", Trading(state))


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        (customer_texts.Prices.OLD, "What you hold can still be closed, for less with every second"),
        (
            customer_texts.Prices.GONE,
            "can neither be bought nor closed at the moment: the last prices are 2 minutes old",
        ),
    ],
)
def test_a_notice_of_old_prices_says_their_age_once_and_what_can_still_be_done(prices, told):
    trading = Trading(State.HALTED, reasons=(Reason.QUOTES_STALE,))
    said = customer_texts.notice("BTC", trading, prices=prices, seconds=125)
    assert told in said
    assert str(customer_texts.REASONS[Reason.QUOTES_STALE]) not in said, "that is the same in other words"


@pytest.mark.parametrize(
    ("seconds", "told"), [(1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (200_000, "2 days")]
)
def test_duration_is_in_its_largest_whole_unit(seconds, told):
    assert customer_texts.duration(seconds) == told

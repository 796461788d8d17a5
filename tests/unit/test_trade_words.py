"""Every code that a customer can meet has words on the trade page."""

import pytest

from counter.containment import Reason, State
from counter.ordering.order_requests import RejectCode
from counter.trading.trading_status import Trading
from trade import words


def states_of(model):
    return {str(value) for value in model.State.values}


def test_every_refusal_says_what_happened_and_what_to_do():
    assert set(words.REFUSALS) == set(RejectCode)
    for happened, to_do in words.REFUSALS.values():
        assert happened.endswith(".")
        assert to_do.endswith(".")


def test_every_cause_and_every_state_has_words():
    from counter.models import Position, SyncOrder

    assert set(words.REASONS) == set(Reason)
    assert set(words.POSITION_STATES) == states_of(Position)
    assert set(words.ORDER_STATES) == states_of(SyncOrder)
    assert set(words.ORDER_KINDS) == set(SyncOrder.Kind.values)


def test_a_code_without_words_is_told_as_it_is():
    assert words.refusal("moon_is_full", "the moon is full")[0] == "The moon is full."
    assert words.reasons(["moon_is_full"]) == "moon is full"


@pytest.mark.parametrize("takes_closes", [True, False])
@pytest.mark.parametrize("state", State)
def test_notice_is_a_sentence_or_nothing(state, takes_closes):
    trading = Trading(state, reasons=(Reason.EXPOSURE, Reason.REOPENING), takes_closes=takes_closes)
    told = words.notice("BTC", trading)
    assert (told == "") == (state is State.NORMAL and takes_closes)
    assert told == "" or told.endswith(".")
    assert ":" not in words.notice("BTC", Trading(state))

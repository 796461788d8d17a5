"""Messages are decoded strictly: another shape, a type that almost fits or an amount that is none is refused."""

from decimal import Decimal

import msgspec
import pytest

from counter.contracts import SettlementAnswer, SyncBatch, decode, encode
from tests.support.desk_bench import event

RAW = encode(SyncBatch(events=[event(order_id=5)]))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"coin":"0.01"', b'"coin":"NaN"'),
        (b'"coin":"0.01"', b'"coin":"-Infinity"'),
        (b'"order_id":5', b'"order_id":"5"'),
        (b'"order_id":5', b'"order_id":5.5'),
        (b'"order_id":5', b'"order_id":9223372036854775808'),
        (b'"order_id":5', b'"order_id":5,"more":1'),
        (b'"contracts":1', b'"contracts":null'),
        (b'"kind":"OPEN"', b'"kind":"BUY"'),
        (b'"payout":"instant"', b'"payout":""'),
        (b'"fair":"900.000000"', b'"fair":NaN'),
        (b'"events"', b'"Events"'),
        (b"}]", b"}"),
    ],
)
def test_a_message_of_another_shape_is_refused(was, becomes):
    assert was in RAW
    with pytest.raises(msgspec.DecodeError):
        decode(RAW.replace(was, becomes), SyncBatch)


def test_a_message_comes_back_as_it_was_sent():
    batch = SyncBatch(events=[event(), event(underlying="ETH", payout="at_fill")])
    assert decode(encode(batch), SyncBatch) == batch


def test_an_amount_never_passes_through_a_float():
    digits = b"0.1000000000000000055511151231257827"
    (read,) = decode(RAW.replace(b'"coin":"0.01"', b'"coin":' + digits), SyncBatch).events
    assert read.coin == Decimal(digits.decode())


def test_an_answer_without_held_reports_is_one_that_the_release_before_can_read():
    """A desk that is replaced a moment later than counter refuses fields that it does not know."""
    assert encode(SettlementAnswer(taken=[1], refused=[2])) == b'{"taken":[1],"refused":[2]}'
    told = encode(SettlementAnswer(taken=[], refused=[], held=[3]))
    assert decode(told, SettlementAnswer).held == [3]

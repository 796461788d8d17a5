"""Parameters are read by type or refused with the code Binance would give."""

import pytest

from tools.paper_venue.errors import (
    ApiError,
    BadCombination,
    DuplicateParameter,
    EitherParameterMissing,
    IllegalCharacters,
    InvalidOrderType,
    InvalidSide,
    InvalidSymbol,
    InvalidTimeInForce,
    ParameterEmpty,
    ParameterMissing,
    ParameterNotRequired,
    ParametersUnread,
)
from tools.paper_venue.records import OrderType, TimeInForce
from tools.paper_venue.rest.params import Params
from tools.paper_venue.rest.trading import read_order

LIMIT = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.1&price=90000"


def read(query, body=""):
    params = Params(query=query, body=body)
    order = read_order(params)
    params.finish()
    return order


def test_a_whole_order_is_read_and_gets_a_client_id():
    request, response_type = read(LIMIT)
    assert (request.order_type, request.time_in_force, str(request.price)) == (
        OrderType.LIMIT,
        TimeInForce.IOC,
        "90000",
    )
    assert request.client_order_id
    assert response_type == "FULL"


def test_the_query_counts_for_more_than_the_body():
    request, _ = read("quantity=0.2", LIMIT)
    assert str(request.quantity) == "0.2"


@pytest.mark.parametrize(
    ("query", "error", "code"),
    [
        (LIMIT.replace("&side=BUY", ""), ParameterMissing, -1102),
        (LIMIT.replace("side=BUY", "side=HOLD"), InvalidSide, -1117),
        (LIMIT.replace("type=LIMIT", "type=STOP_LOSS"), InvalidOrderType, -1116),
        (LIMIT.replace("IOC", "GTX"), InvalidTimeInForce, -1115),
        (LIMIT.replace("&timeInForce=IOC", ""), ParameterMissing, -1102),
        (LIMIT.replace("price=90000", "price="), ParameterEmpty, -1105),
        (LIMIT.replace("price=90000", "price=9e4"), IllegalCharacters, -1100),
        (LIMIT.replace("price=90000", "price=-1"), IllegalCharacters, -1100),
        (LIMIT.replace("price=90000", "price=NaN"), IllegalCharacters, -1100),
        (LIMIT.replace("BTCUSDT", "btcusdt"), IllegalCharacters, -1100),
        (LIMIT.replace("BTCUSDT", "DOGEUSDT"), InvalidSymbol, -1121),
        (LIMIT + "&price=90001", DuplicateParameter, -1101),
        (LIMIT + "&colour=blue", ParametersUnread, -1104),
        (LIMIT + "&newClientOrderId=a%20b", IllegalCharacters, -1100),
        (LIMIT + "&quoteOrderQty=5", ParameterNotRequired, -1106),
        (LIMIT + "&newOrderRespType=SOME", ApiError, -1130),
        (LIMIT.replace("quantity=0.1", "quantity=0"), ApiError, -1013),
        (LIMIT.replace("price=90000", "price=0.0"), ApiError, -1013),
        ("symbol=BTCUSDT&side=BUY&type=MARKET", EitherParameterMissing, -1102),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&price=1", ParameterNotRequired, -1106),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&quoteOrderQty=1", BadCombination, -1128),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price=1&timeInForce=GTC", ApiError, -1106),
    ],
)
def test_what_cannot_be_read_has_its_code(query, error, code):
    with pytest.raises(error) as refused:
        read(query)
    assert (refused.value.code, refused.value.status) == (code, 400)

"""What customers are told while the desk is behind with a coin: 503 for that coin, and usual service for the others."""

import pytest

from counter.models import SyncOrder, TradingStatus
from counter.orders.throttle import throttle
from tests.support.api import error_of
from tests.support.factories import make_option, place_open, unique
from tests.support.public_ids import position_id


@pytest.fixture(autouse=True)
def forgotten():
    yield
    throttle.hear({"BTC": None, "ETH": None})


@pytest.fixture
def behind(option):
    """Of bitcoin a hundredth is admitted, which this process has heard; its first orders were taken."""
    from django.utils import timezone

    now = timezone.now()
    TradingStatus.objects.create(
        underlying="BTC", spread_rate="0.005", admitted_permille=10, since=now, judged_at=now
    )


def opening(option):
    return {"type": "open", "client_order_id": unique("o"), "symbol": option.symbol, "contracts": 1}


def batch(*options):
    return {"orders": [opening(option) for option in options]}


@pytest.fixture(params=["framework", "fast_path"])
def rich(new_caller, request):
    return new_caller(balance="1000000", door=request.param)


def test_an_open_that_cannot_be_hedged_soon_is_answered_503_and_nothing_is_done(rich, option, behind):
    codes = [rich.post("orders", opening(option)).status_code for _ in range(20)]
    assert codes[0] == 201  # nobody had heard of it yet
    assert codes.count(503) > 15
    refused = rich.post("orders", opening(option))
    assert error_of(refused, 503)["code"] == "desk_behind"
    assert refused["Retry-After"] == "1"
    assert SyncOrder.objects.count() == codes.count(201)


def test_a_batch_of_one_coin_is_refused_as_a_whole(rich, option, behind):
    for _ in range(3):
        answer = rich.post("orders/batch", batch(*[option] * 50))
    assert error_of(answer, 503)["code"] == "desk_behind"
    assert answer["Retry-After"] == "1"


def test_of_a_batch_of_two_coins_only_those_of_the_one_that_is_behind_are_refused(rich, option, behind):
    ether = make_option(underlying="ETH")
    for _ in range(3):
        rich.post("orders/batch", batch(*[option] * 50))
    answer = rich.post("orders/batch", batch(option, ether, option, ether))
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [503, 201, 503, 201]
    assert results[0]["error"]["code"] == "desk_behind"
    assert results[1]["order"]["symbol"] == ether.symbol


def test_refusals_that_are_not_the_customers_fault_do_not_slow_the_customer_down(
    rich, option, behind, settings
):
    settings.CUSTOMER_ORDERS_PER_S = 20
    answers = [rich.post("orders", opening(option)) for _ in range(300)]
    assert {answer.status_code for answer in answers} <= {201, 503}


def test_a_position_can_be_closed_while_opens_are_refused(rich, option, behind):
    position = place_open(rich.customer, option).position_id
    while rich.post("orders", opening(option)).status_code != 503:
        pass
    closing = {"type": "close", "client_order_id": unique("c"), "position_id": position_id(position)}
    assert rich.post("orders", closing).status_code == 201


def test_orders_are_taken_again_once_the_desk_is_not_behind(rich, option, behind):
    while rich.post("orders", opening(option)).status_code != 503:
        pass
    TradingStatus.objects.update(admitted_permille=1000)
    throttle.hear({"BTC": 1000})  # as the next order that is taken hears
    assert rich.post("orders/batch", batch(*[option] * 50)).json()["results"][-1]["status"] == 201

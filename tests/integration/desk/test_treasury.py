"""Treasury: wallets within their bands by at most one transfer an asset, found again when its answer is lost."""

from decimal import Decimal

import pytest
from django.utils import timezone

from settlement.book.chart import CAPITAL
from settlement.funds import transfers, treasury
from settlement.models import Attempt, Conversion, DeskTransfer, FundsTransfer, StateChange
from settlement.venues import error_table
from settlement.venues.reading import transfer_of
from tests.support.desk_bench import (
    Desk,
    assert_books_agree,
    at_once,
    book_balances,
    event,
    order_states,
    states,
    take_in,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

POST = {"path": "/sapi/v1/asset/transfer", "method": "POST"}
IN, OUT = FundsTransfer.Direction.TO_TRADING, FundsTransfer.Direction.TO_RESERVE


def band(low: int, target: int, high: int) -> dict[str, Decimal]:
    return {"low": Decimal(low), "target": Decimal(target), "high": Decimal(high)}


def rebalance(desk: Desk) -> list[FundsTransfer]:
    return treasury.rebalance(venue=desk.venue, now=timezone.now())


def transfer(desk: Desk, asset: str = "ETH", amount: str = "7.5") -> FundsTransfer | None:
    return transfers.start(
        asset=asset, amount=Decimal(amount), direction=IN, venue=desk.venue, now=timezone.now()
    )


def steps(row: FundsTransfer) -> list[str]:
    found = StateChange.objects.filter(subject="funds_transfer", subject_id=row.pk).order_by("id")
    return list(found.values_list("to_state", flat=True))


def test_the_books_open_with_what_both_wallets_hold_and_only_once(desk):
    assert_books_agree(desk)
    wallets = desk.wallets()
    for asset in ("USDT", "BTC", "ETH", "BNB"):
        held = sum(amount for (_, name), amount in wallets.items() if name == asset)
        assert book_balances()[CAPITAL, asset] == held
    desk.settle(event())
    legs = DeskTransfer.objects.filter(kind="capital").count()
    opened = at_once(*[lambda: treasury.open_books(venue=desk.venue.real, now=timezone.now())] * 3)
    assert opened == [False] * 3
    assert DeskTransfer.objects.filter(kind="capital").count() == legs


def test_a_wallet_below_its_band_is_topped_up_and_one_above_is_swept_to_the_target(desk, settings):
    settings.WALLET_BANDS = {
        "BTC": band(60, 80, 100),
        "ETH": band(1, 100, 499),
        "USDT": band(1, 2, 10_000_000),
    }
    made = {row.asset: row for row in rebalance(desk)}

    assert set(made) == {"BTC", "ETH"}
    assert (made["BTC"].direction, made["BTC"].amount) == (IN, 30)
    assert (made["ETH"].direction, made["ETH"].amount) == (OUT, 400)
    assert steps(made["BTC"]) == ["PLANNED", "SUBMITTED", "CONFIRMED"]
    assert [(item["asset"], item["type"]) for item in desk.venue_has("transfers")] == [
        ("BTC", "FUNDING_MAIN"),
        ("ETH", "MAIN_FUNDING"),
    ]
    assert_books_agree(desk)
    assert rebalance(desk) == []


def test_a_reserve_that_is_short_gives_what_it_has(desk, settings):
    settings.WALLET_BANDS = {"BTC": band(600, 1000, 2000)}
    (made,) = rebalance(desk)
    assert made.amount == 500
    assert_books_agree(desk)
    assert rebalance(desk) == []  # nothing is left to give


def test_one_transfer_of_an_asset_is_open_at_a_time(desk):
    desk.paper.add_fault("request_lost", **POST, count=1)
    first = transfer(desk)
    assert first is not None
    assert first.state == "UNKNOWN"
    assert transfer(desk) is None
    assert transfer(desk, asset="BTC").state == "CONFIRMED"
    assert len(desk.venue_has("transfers")) == 1


def test_of_many_who_start_a_transfer_at_once_one_does(desk):
    desk.paper.add_fault("latency", **POST, delay_ms=300)
    made = at_once(*[lambda: transfer(desk)] * 4)
    assert sum(row is not None for row in made) == 1
    assert len(desk.venue_has("transfers")) == 1
    assert_books_agree(desk)


@pytest.mark.parametrize("kind", ["reply_lost", "error_after", "empty_body", "empty_object", "cut_body"])
def test_a_transfer_whose_answer_is_lost_is_found_in_the_history(desk, kind):
    transfer(desk)  # one like it, done before, is not taken for it
    desk.paper.add_fault(kind, **POST, count=1)
    made = transfer(desk)
    assert made.state == "UNKNOWN"
    desk.resume(after=5)
    made.refresh_from_db()
    assert made.state == "CONFIRMED"
    assert len(desk.venue_has("transfers")) == 2
    assert_books_agree(desk)


def test_a_transfer_that_the_history_does_not_show_is_released_only_when_that_is_sure(desk):
    desk.paper.add_fault("request_lost", **POST, count=1)
    made = transfer(desk)
    for _ in range(2 * error_table.MISSES_TO_BE_SURE):
        desk.resume(after=error_table.MISSED_AFTER_SECONDS - 1)
    made.refresh_from_db()
    assert made.state == "UNKNOWN"
    for step in range(1, 8):
        desk.resume(after=20 * step)
    made.refresh_from_db()
    assert made.state == "RELEASED"
    assert desk.venue_has("transfers") == []
    assert_books_agree(desk)
    assert transfer(desk).state == "CONFIRMED"


def test_a_history_that_cannot_be_read_proves_nothing(desk):
    desk.paper.add_fault("reply_lost", **POST, count=1)
    desk.paper.add_fault("error_before", path="/sapi/v1/asset/transfer", method="GET")
    made = transfer(desk)
    for step in range(1, 10):
        desk.resume(after=60 * step)
    made.refresh_from_db()
    assert (made.state, made.misses) == ("UNKNOWN", 0)
    desk.paper.clear_faults()
    desk.resume(after=1000)
    assert_books_agree(desk)


def test_a_history_that_lags_is_not_believed_against_the_wallet(desk):
    desk.paper.add_fault("reply_lost", **POST, count=1)
    desk.paper.add_fault(
        "stale_reads", path="/sapi/v1/asset/transfer", method="GET", lag_ms=3_600_000
    )  # the wallets are seen as they are
    made = transfer(desk)
    for step in range(1, 8):
        desk.resume(after=60 * step)
    made.refresh_from_db()
    assert (made.state, made.misses) == ("UNKNOWN", 0)
    assert Attempt.objects.latest("id").answer == "the reserve wallet shows it as done"
    desk.paper.clear_faults()
    desk.resume(after=1000)
    made.refresh_from_db()
    assert made.state == "CONFIRMED"
    assert_books_agree(desk)


def test_a_transfer_that_the_history_shows_as_pending_is_waited_for(desk):
    desk.paper.add_fault("reply_lost", **POST, count=1)
    desk.paper.add_fault("pending_transfers", path="/sapi/v1/asset/transfer", method="GET")
    made = transfer(desk)
    for step in range(1, 8):
        desk.resume(after=60 * step)
    made.refresh_from_db()
    assert (made.state, made.misses) == ("UNKNOWN", 0)
    assert Attempt.objects.latest("id").answer == "one that may be it is pending"
    desk.paper.clear_faults()
    desk.resume(after=1000)
    made.refresh_from_db()
    assert made.state == "CONFIRMED"
    assert_books_agree(desk)


def test_only_a_failed_movement_in_the_history_is_as_good_as_none():
    entry = {"id": "1", "currency": "ETH", "amount": "1", "timestamp": 0}
    for status, state in {"ok": "done", "failed": "failed", "pending": "pending", None: "pending"}.items():
        report = transfer_of({**entry, "status": status}, "to_trading")
        assert (report.state, report.done) == (state, state == "done")


def test_a_transfer_that_was_refused_is_released(desk):
    made = transfer(desk, amount="5000.1")
    assert made.state == "RELEASED"
    assert "InsufficientFunds" in made.reason
    assert Attempt.objects.get(call="transfer").outcome == "not_done"
    assert_books_agree(desk)


def sell(desk: Desk, coin: str) -> Conversion:
    take_in(event(kind="CLOSE", underlying="ETH", coin=coin))
    return desk.convert("ETH")


def test_an_order_without_funds_asks_for_them_at_once_and_fills_when_they_have_come(desk):
    made = sell(desk, "600")  # the trading wallet holds 500, the reserve 5000
    made.refresh_from_db()
    (topped_up,) = FundsTransfer.objects.all()
    assert (topped_up.asset, topped_up.amount, topped_up.state) == ("ETH", 100, "CONFIRMED")
    assert (made.state, made.attempts) == ("FILLED", 2)

    desk.resume()
    assert states() == ["BOOKED"]
    assert desk.venue.submissions == [made.client_order_id] * 2
    assert len(desk.venue_has("orders")) == 1
    assert_books_agree(desk)


def test_a_purchase_without_funds_asks_for_usdt(desk, settings):
    settings.WALLET_BANDS = {"USDT": band(1, 8_000_000, 10_000_000)}
    take_in(event(underlying="ETH", coin="1666.8"))  # 5,000,400 USDT and the band above it
    made = desk.convert("ETH")
    (topped_up,) = FundsTransfer.objects.all()
    assert (topped_up.asset, topped_up.amount) == ("USDT", 3_000_000)
    desk.resume()
    made.refresh_from_db()
    assert made.state == "BOOKED"
    assert_books_agree(desk)


@pytest.mark.parametrize("kind", ["reply_lost", "request_lost"])
def test_an_order_waits_for_the_transfer_it_asked_for_however_long_that_is_unknown(desk, kind):
    desk.paper.add_fault(kind, **POST, count=1)
    made = sell(desk, "600")
    made.refresh_from_db()
    assert FundsTransfer.objects.get().state == "UNKNOWN"
    assert made.due_at > timezone.now()
    for step in range(1, 8):
        desk.resume(after=20 * step)
        made.refresh_from_db()
        if made.state == "BOOKED":
            break
    assert made.state == "BOOKED"
    assert len(desk.venue_has("transfers")) == 1
    assert len(desk.venue_has("orders")) == 1
    assert_books_agree(desk)


def test_an_order_waits_for_a_transfer_of_its_asset_that_is_under_way_already(desk):
    desk.paper.add_fault("reply_lost", **POST, count=1)
    under_way = transfer(desk, amount="200")
    # The venue moved it, so take it away again: the order shall find too little.
    desk.drain("ETH", "spot", leave="500")
    made = sell(desk, "600")
    made.refresh_from_db()
    assert made.waits_for_id == under_way.pk
    desk.resume(after=5)
    made.refresh_from_db()
    under_way.refresh_from_db()
    assert under_way.state == "CONFIRMED"


def test_an_order_that_the_reserve_cannot_cover_is_handed_to_a_person_after_a_bound(desk):
    desk.paper.set_price("ETHUSDT", "1000")
    made = sell(desk, "6000")
    for step in range(1, 20):
        desk.resume(after=20 * step)
    made.refresh_from_db()
    assert (made.state, made.attempts) == ("MANUAL", error_table.TOP_UP_LIMIT)
    assert order_states() == {"CONVERTING"}
    assert not FundsTransfer.objects.exists()
    assert desk.venue_has("orders") == []


def test_an_order_whose_funds_cannot_be_asked_for_comes_back_and_asks_again(desk):
    desk.paper.add_fault("rate_limit", path="/sapi/v1/asset/get-funding-asset", count=1)
    made = sell(desk, "600")
    made.refresh_from_db()
    assert (made.state, made.waits_for_id) == ("RETRY_WAIT", None)
    assert not FundsTransfer.objects.exists()
    desk.resume(after=10)
    assert FundsTransfer.objects.get().state == "CONFIRMED"
    desk.resume(after=10)
    assert states() == ["BOOKED"]
    assert_books_agree(desk)


def test_a_venue_without_a_reserve_wallet_is_settled_at_and_never_asked_for_one(desk, settings):
    settings.VENUE_HAS_RESERVE = False
    settings.WALLET_BANDS = {"USDT": band(10**8, 10**8, 10**9)}
    assert rebalance(desk) == []
    assert desk.venue.balances("reserve") == {}
    desk.settle(event())
    assert set(order_states()) == {"SETTLED"}
    assert not FundsTransfer.objects.exists()

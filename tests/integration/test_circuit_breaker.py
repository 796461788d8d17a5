"""A coin is contained for as long as there is a cause: seen through the API, with the desk, the venue and HTTP real."""

import threading
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connections
from django.utils import timezone

from acceptance import counter_client
from acceptance.models import AcceptedOrder
from counter.contracts import CoinCondition
from counter.models import DeskCondition, Quote, SyncOrder, TradingStatus, TradingStatusChange, Transfer
from counter.orders.queue import order_queue
from counter.trading import watch
from counter.trading.status import trading_by_coin
from counter.trading.watch import Watch
from settlement.conversions import converting
from settlement.counter_link import conditions
from settlement.models import Carry, Conversion, VenueHalt
from tests.support import desk as steps
from tests.support.api import Caller, error_of
from tests.support.databases import conninfo
from tests.support.desk_bench import Desk, at_once
from tests.support.factories import make_customer, make_option, make_quote, unique

LIMITS = {
    "quotes_stale": (Decimal(4), Decimal(8)),
    "venue_halted": (Decimal(0), Decimal(5)),
    "unknown_outcome": (Decimal(3), Decimal(6)),
    "unsettled": (Decimal(180), Decimal(600)),
    "desk_silent": (Decimal(15), Decimal(30)),
}
POST = {"path": "/api/v3/order$", "method": "POST"}
COST = {"NORMAL": "22.612500", "WIDE": "22.950000"}  # 0.01 x 0.025 x 90,000 at spreads of 0.5 % and 2 %
PROCEEDS = {"NORMAL": "17.910000", "WIDE": "17.640000"}


class Bench:
    """A customer, an option of each coin, the desk, and the feed's judgement at moments that a test chooses."""

    def __init__(self, desk):
        self.desk = desk
        self.option, self.ether = make_option(), make_option(underlying="ETH")
        self.caller = Caller(make_customer(balance="1000"))
        self.started_at = timezone.now()
        self.watch = Watch(started_at=self.started_at)

    def judged(self, after, *, quoted=True, told=True):
        """The state of BTC `after` so many seconds, with fresh quotes and the desk's word unless told."""
        now = self.started_at + timedelta(seconds=after)
        if quoted:
            make_quote(self.option, now=now)
            make_quote(self.ether, now=now)
        if told:
            conditions.tell(now=now)
            DeskCondition.objects.update(received_at=now)  # as if it had come at that moment
        self.watch.judge(now=now)
        return TradingStatus.objects.get(underlying="BTC")

    def come(self):
        """It is the moment of the last judgement: what was dated ahead is of now."""
        now = timezone.now()
        Quote.objects.filter(quoted_at__gt=now).update(quoted_at=now)
        TradingStatus.objects.filter(judged_at__gt=now).update(judged_at=now)

    def quote(self):
        self.come()
        [found] = self.caller.get("quotes", underlying="BTC").json()["results"]
        return found

    def open(self, **changes):
        self.come()
        body = {"type": "open", "client_order_id": unique("o"), "symbol": self.option.symbol, "contracts": 1}
        return self.caller.post("orders", body | changes)

    def close(self, opened_by, **changes):
        self.come()
        body = {"type": "close", "client_order_id": unique("c"), "opened_by": opened_by, "contracts": 1}
        return self.caller.post("orders", body | changes)

    def opened(self, contracts=1):
        answer = self.open(contracts=contracts)
        assert answer.status_code == 201, answer.content
        return answer.json()["client_order_id"]

    def assert_refused_before_any_money_moves(self):
        before = (SyncOrder.objects.count(), Transfer.objects.count(), self.balance())
        assert error_of(self.open(), 409)["code"] == "coin_halted"
        assert (SyncOrder.objects.count(), Transfer.objects.count(), self.balance()) == before

    def balance(self):
        return self.caller.get("accounts").json()["results"]


@pytest.fixture
def bench(two_systems, live_server, settings, monkeypatch, venue, paper_venue, venue_account):
    settings.COUNTER_URL = live_server.url
    settings.BREAKER_AFTER_SECONDS = LIMITS
    settings.BREAKER_FROM_USDT = {}  # at any amount
    settings.REOPEN_AFTER_SECONDS = 2.0
    # On a slow machine the next judgement would go by what was read for the one before.
    monkeypatch.setattr(watch, "UNSETTLED_PAUSE_TIMES", 0)
    # Connections that threads keep would hold the test database when it is to be dropped.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    counter_client._local.__dict__.clear()
    yield Bench(Desk(venue, paper_venue, venue_account[0]))
    order_queue.stop()
    counter_client._session().close()
    counter_client._local.__dict__.clear()


def test_a_halted_venue_widens_the_spread_then_halts_the_coin_and_it_opens_again_by_itself(bench):
    assert bench.judged(0).state == "NORMAL"
    held = bench.opened(contracts=3)
    quote = bench.quote()
    assert (quote["cost"], quote["proceeds"], quote["coin_state"]) == (
        COST["NORMAL"],
        PROCEEDS["NORMAL"],
        "normal",
    )

    bench.desk.paper.add_fault("error_before", status=401, code=-2014, **POST, count=1)
    steps.deliver()
    bench.desk.convert()
    bench.started_at = VenueHalt.objects.get().began_at
    wide = bench.judged(1)
    assert (wide.state, wide.reasons) == ("WIDE", ["venue_halted"])
    quote = bench.quote()
    assert (quote["cost"], quote["proceeds"]) == (COST["WIDE"], PROCEEDS["WIDE"])
    assert (quote["coin_state"], quote["coin_reasons"]) == ("wide", ["venue_halted"])
    assert bench.open().json()["cost"] == COST["WIDE"]

    assert bench.judged(6.5).state == "HALTED"
    quote = bench.quote()
    assert (quote["cost"], quote["proceeds"], quote["coin_state"]) == (None, PROCEEDS["WIDE"], "halted")
    assert bench.caller.get("instruments").json()["results"][0]["state"] == "halted"
    bench.assert_refused_before_any_money_moves()
    closed = bench.close(held)
    assert (closed.status_code, closed.json()["proceeds"]) == (201, PROCEEDS["WIDE"])

    bench.desk.resume(after=30)  # the venue answers again, which lifts the halt
    assert [bench.judged(after).state for after in (7, 9.5, 10, 12)] == ["HALTED", "WIDE", "WIDE", "NORMAL"]
    assert bench.open().json()["cost"] == COST["NORMAL"]
    path = TradingStatusChange.objects.filter(underlying="BTC").order_by("id")
    assert list(path.values_list("from_state", "to_state", "spread_rate", "by")) == [
        ("", "NORMAL", Decimal("0.005"), "feed"),
        ("NORMAL", "WIDE", Decimal("0.02"), "feed"),
        ("WIDE", "HALTED", Decimal("0.02"), "feed"),
        ("HALTED", "WIDE", Decimal("0.02"), "feed"),
        ("WIDE", "NORMAL", Decimal("0.005"), "feed"),
    ]
    assert path[2].why.startswith("venue_halted 6.5 s")
    with pytest.raises(DatabaseError, match="append-only"):
        path.delete()


def test_too_much_unhedged_of_one_coin_contains_that_coin_alone(bench, settings):
    settings.BREAKER_EXPOSURE_USDT = dict.fromkeys(("BTC", "ETH"), (Decimal(40), Decimal(60)))
    for expected in ("NORMAL", "WIDE", "HALTED"):  # 22.50 USDT of coin each
        held = bench.opened()
        assert bench.judged(1 + SyncOrder.objects.count()).state == expected
    bench.assert_refused_before_any_money_moves()
    assert bench.open(symbol=bench.ether.symbol).status_code == 201
    # What is closed takes away from what has to be bought, and so does what the desk has hedged.
    assert bench.close(held).status_code == 201
    steps.run_desk(bench.desk.venue)
    assert bench.judged(5).easing_since is not None
    assert [bench.judged(after).state for after in (7, 9)] == ["WIDE", "NORMAL"]


def test_the_desks_own_exposure_counts_where_counter_sees_none(bench, settings):
    settings.BREAKER_EXPOSURE_USDT = dict.fromkeys(("BTC", "ETH"), (Decimal(80_000), Decimal(100_000)))
    for number, (coin, expected) in enumerate([("0.5", "NORMAL"), ("-0.9", "WIDE"), ("1.2", "HALTED")]):
        now = bench.started_at + timedelta(seconds=number + 1)
        counter_client.tell_conditions([CoinCondition("BTC", Decimal(coin))], as_of=now)
        assert bench.judged(number + 1, told=False).state == expected


def test_an_old_unknown_contains_its_coin_until_the_venue_has_been_asked(bench):
    bench.opened()
    bench.desk.paper.add_fault("reply_lost", **POST, count=1)
    steps.deliver()
    assert bench.desk.convert().state == "UNKNOWN"
    [told, _] = conditions.conditions()
    bench.started_at = Conversion.objects.get().submitted_at
    assert (told.unhedged_coin, told.doubtful_since) == (
        Decimal("0.00025000"),
        bench.started_at,
    )
    assert [bench.judged(after).state for after in (1, 4, 8)] == ["NORMAL", "WIDE", "HALTED"]
    assert TradingStatus.objects.get(underlying="BTC").reasons == ["unknown_outcome"]
    assert TradingStatus.objects.get(underlying="ETH").state == "NORMAL"
    bench.assert_refused_before_any_money_moves()

    bench.desk.resume(after=10)
    assert Conversion.objects.get().state == "BOOKED"
    assert [bench.judged(after).state for after in (9, 11.5, 14)] == ["HALTED", "WIDE", "NORMAL"]


def test_one_small_unknown_contains_no_coin_and_many_do(bench, settings):
    """22.50 USDT each, counted from 40 on: the person who has to look at it is told by an alert of its own."""
    settings.BREAKER_FROM_USDT = {"unknown_outcome": Decimal(40), "unsettled": Decimal(40)}
    for number, expected in enumerate(["NORMAL", "HALTED"]):
        bench.opened()
        bench.desk.paper.add_fault("reply_lost", **POST, count=1)
        steps.deliver()
        assert bench.desk.convert().state == "UNKNOWN"
        [told, _] = conditions.conditions()
        assert told.doubtful_coin == Decimal("0.00025000") * (number + 1)
        bench.started_at = Conversion.objects.earliest("id").submitted_at
        assert bench.judged(8 + number).state == expected
    assert TradingStatus.objects.get(underlying="BTC").reasons == ["unknown_outcome"]
    # A desk of the release before says no amount: then its age counts as ever.
    DeskCondition.objects.update(doubtful_coin=None)
    settings.BREAKER_FROM_USDT = {"unknown_outcome": Decimal(1_000_000), "unsettled": Decimal(1_000_000)}
    assert bench.judged(9.5, told=False).easing_since is None


def test_what_is_overdue_counts_from_an_amount_on(bench, settings):
    settings.BREAKER_AFTER_SECONDS = LIMITS | {"unsettled": (Decimal(3), Decimal(6))}
    settings.BREAKER_FROM_USDT = {"unsettled": Decimal(40)}
    bench.opened()
    bench.started_at = SyncOrder.objects.get().placed_at
    assert [bench.judged(after).state for after in (1, 4, 8)] == ["NORMAL"] * 3
    bench.opened()
    SyncOrder.objects.update(placed_at=bench.started_at)
    assert bench.judged(30).state == "HALTED"
    assert TradingStatus.objects.get(underlying="BTC").reasons == ["unsettled"]


def test_a_desk_that_says_nothing_is_a_cause_and_its_first_word_ends_it(bench):
    silent = [bench.judged(after, told=False).state for after in (1, 16, 31)]
    assert silent == ["NORMAL", "WIDE", "HALTED"]
    assert TradingStatus.objects.get(underlying="ETH").reasons == ["desk_silent"]
    bench.assert_refused_before_any_money_moves()
    assert [bench.judged(after).state for after in (32, 34, 36)] == ["HALTED", "WIDE", "NORMAL"]


def test_the_time_before_the_feed_listened_is_no_silence(bench):
    conditions.tell(now=bench.started_at)
    DeskCondition.objects.update(received_at=bench.started_at - timedelta(hours=1))
    assert bench.judged(1, told=False).state == "NORMAL"


def test_orders_that_stay_unsettled_contain_their_coin_even_if_the_desk_reports_no_trouble(bench, settings):
    settings.BREAKER_AFTER_SECONDS = LIMITS | {"unsettled": (Decimal(3), Decimal(6))}
    bench.opened()
    bench.started_at = SyncOrder.objects.get().placed_at
    assert [bench.judged(after).state for after in (1, 4, 8)] == ["NORMAL", "WIDE", "HALTED"]
    steps.run_desk(bench.desk.venue)
    assert [bench.judged(after).state for after in (9, 11, 13)] == ["HALTED", "WIDE", "NORMAL"]


def test_a_database_that_hung_once_does_not_leave_a_coin_contained_by_what_was_settled_long_ago(
    bench, settings
):
    settings.BREAKER_AFTER_SECONDS = LIMITS | {"unsettled": (Decimal(3), Decimal(60))}
    bench.opened()
    bench.started_at = SyncOrder.objects.get().placed_at
    with psycopg.connect(conninfo("default")) as other:
        other.execute("LOCK TABLE counter_syncorder")
        threading.Timer(0.5, other.rollback).start()
        assert bench.judged(4).state == "WIDE"
    steps.run_desk(bench.desk.venue)
    assert [bench.judged(after).state for after in (15, 18)] == ["WIDE", "NORMAL"]


def test_stale_quotes_end_opens_first_and_closes_later_at_a_growing_spread(bench, settings):
    settings.BREAKER_AFTER_SECONDS = LIMITS | {"quotes_stale": (Decimal(40), Decimal(80))}
    settings.QUOTE_STALE_AFTER_SECONDS, settings.CLOSE_STALE_AFTER_SECONDS = 100.0, 300.0
    held = bench.opened(contracts=5)
    bench.watch = Watch(started_at=timezone.now() - timedelta(hours=1))  # that never quoted later

    def aged(seconds):
        conditions.tell(now=timezone.now())
        make_quote(bench.option, now=timezone.now() - timedelta(seconds=seconds))
        bench.watch.judge(now=timezone.now())
        return bench.quote()

    assert aged(10)["coin_state"] == "normal"
    assert (aged(50)["coin_state"], bench.quote()["coin_reasons"]) == ("wide", ["quotes_stale"])
    quote = aged(90)
    assert (quote["coin_state"], quote["cost"], quote["is_stale"]) == ("halted", None, False)
    assert bench.close(held).json()["proceeds"] == quote["proceeds"] == PROCEEDS["WIDE"]
    bench.assert_refused_before_any_money_moves()

    quote = aged(200)
    assert quote["is_stale"] is True
    answer = bench.close(held).json()["proceeds"]
    # Four times 2 %, and a little more for the time that the test takes: 18 x (1 - 0.08 - ...)
    assert Decimal("16.3") < Decimal(answer) <= Decimal(quote["proceeds"]) < Decimal("16.56")

    aged(301)
    before = bench.balance()
    assert error_of(bench.close(held), 409)["code"] == "quote_stale"
    assert bench.balance() == before


def test_a_coin_that_nobody_watches_is_not_opened_and_can_be_closed(bench):
    assert bench.judged(0).state == "NORMAL"
    held = bench.opened()
    long_ago = timezone.now() - timedelta(seconds=9)
    TradingStatus.objects.update(judged_at=long_ago)
    quote = bench.quote()
    assert (quote["coin_state"], quote["coin_reasons"], quote["cost"]) == ("halted", ["unwatched"], None)
    bench.assert_refused_before_any_money_moves()
    assert bench.close(held).json()["proceeds"] == PROCEEDS["NORMAL"]


def test_a_judgement_of_the_past_changes_nothing(bench):
    bench.started_at -= timedelta(minutes=1)
    assert bench.judged(20).state == "NORMAL"
    assert bench.judged(5, quoted=False, told=False).state == "NORMAL"
    TradingStatus.objects.filter(underlying="BTC").update(state="HALTED")
    assert bench.judged(19).state == "HALTED"
    assert TradingStatusChange.objects.filter(underlying="BTC").count() == 1


def test_two_feeds_that_judge_at_once_leave_one_history(bench):
    other = Watch(started_at=bench.started_at)
    for after in (0, 16, 31):
        now = bench.started_at + timedelta(seconds=after)
        make_quote(bench.option, now=now)
        make_quote(bench.ether, now=now)
        at_once(*[lambda watch=watch, now=now: watch.judge(now=now) for watch in (bench.watch, other)])
    for coin in ("BTC", "ETH"):
        path = TradingStatusChange.objects.filter(underlying=coin).order_by("id")
        assert list(path.values_list("to_state", flat=True)) == ["NORMAL", "WIDE", "HALTED"]


def test_a_coin_that_cannot_be_judged_keeps_those_before_it_from_nothing(bench, settings):
    bench.judged(0)
    settings.BREAKER_EXPOSURE_USDT = {"BTC": settings.BREAKER_EXPOSURE_USDT["BTC"]}
    now = bench.started_at + timedelta(seconds=1)
    with pytest.raises(KeyError):
        bench.watch.judge(now=now)
    assert TradingStatus.objects.get(underlying="BTC").judged_at == now
    assert TradingStatus.objects.get(underlying="ETH").judged_at < now


def test_a_feed_that_cannot_judge_goes_on_and_its_coins_count_as_halted_soon(bench, monkeypatch):
    bench.judged(0)

    def no_answer(**_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(bench.watch, "judge", no_answer)
    bench.watch.tick(now=timezone.now() + timedelta(seconds=9))
    later = trading_by_coin(now=bench.started_at + timedelta(seconds=8, milliseconds=1))
    assert later["BTC"].reasons == ("unwatched",)


def test_a_batch_with_a_halted_coin_places_the_rest(bench):
    bench.judged(0)
    TradingStatus.objects.filter(underlying="BTC").update(state="HALTED")
    names = {bench.option.symbol: unique("o"), bench.ether.symbol: unique("o")}
    orders = [
        {"type": "open", "client_order_id": name, "symbol": symbol, "contracts": 1}
        for symbol, name in names.items()
    ]
    results = bench.caller.post("orders/batch", {"orders": orders}).json()["results"]
    assert [result["status"] for result in results] == [409, 201]
    assert results[0]["error"]["code"] == "coin_halted"
    # Nothing is stored of a refused order: its id serves again once the coin is open.
    TradingStatus.objects.update(state="NORMAL")
    assert bench.open(client_order_id=names[bench.option.symbol]).status_code == 201


def test_what_the_desk_tells_is_what_is_not_hedged(bench):
    def told():
        return {coin.underlying: coin.unhedged_coin for coin in conditions.conditions()}

    assert told() == {"BTC": 0, "ETH": 0}
    name = bench.opened(contracts=8)
    steps.deliver()
    assert told()["BTC"] == Decimal("0.002")
    bench.close(name, contracts=5)  # brings 5 x 0.01 x 0.02 back
    steps.deliver()
    assert told()["BTC"] == Decimal("0.001")
    while converting.orders_wait("BTC", now=timezone.now()):
        steps.convert(bench.desk.venue)
    filled = Conversion.objects.latest("id")
    left = Decimal("0.001") - filled.filled_coin
    assert told()["BTC"] == left
    steps.balance()  # which takes off what the venue kept of the coin as its commission
    assert told()["BTC"] == Carry.objects.get(pk="BTC").coin
    assert AcceptedOrder.objects.filter(state="SETTLED").count() == 2

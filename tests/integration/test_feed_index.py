"""The feed prices by what its sources agree on: bad samples are counted and sold at by nobody, on a real database."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from counter.market.feed import Feed
from counter.market.index import Index
from counter.market.index_bounds import Cause
from counter.models import IndexRejection, Option, Quote
from tests.support.crash import crash
from tests.support.feeding import SECOND, Feeding
from tests.support.index_sources import WrittenSource
from tests.support.standing import Paused

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def term() -> Iterator[object]:
    with Paused("feed") as paused:
        yield paused.term


@pytest.fixture
def feeding(term, settings) -> Feeding:
    return Feeding(WrittenSource(), term=term, options=settings)


def rejections():
    return {
        (row.source, row.underlying, row.cause): row.count for row in IndexRejection.objects.order_by("pk")
    }


def test_a_bid_of_900_under_an_unchanged_ask_is_counted_and_priced_at_by_nobody(feeding):
    feeding.tick(3)
    before = {quote.pk: (quote.bid, quote.ask, quote.quoted_at) for quote in Quote.objects.all()}
    [source] = feeding.sources
    source.books["BTC"] = ("900", "90004.50")
    feeding.tick()
    btc = Quote.objects.filter(option__underlying="BTC")
    assert all((q.bid, q.ask, q.quoted_at) == before[q.pk] for q in btc)
    assert set(feeding.recorded()) == {Decimal(90_000)}
    assert rejections() == {("binance", "BTC", "wide"): 1}
    [row] = IndexRejection.objects.all()
    assert (row.bid, row.ask, row.last_at) == ("900", "90004.50", feeding.now)
    source.at(BTC=90_010)
    feeding.tick()
    assert feeding.recorded()[-1] == 90_010
    assert feeding.status().state == "NORMAL"


def test_a_wick_to_8200_for_under_a_second_sells_no_put_and_buys_none_back(feeding):
    """Seen: a put bought for 562 was closed for 80,569 at once, and for 887,715 at fill."""
    feeding.tick(3)
    put = feeding.option("P")
    bought = feeding.opened(put, 100)
    [source] = feeding.sources
    source.at(BTC=8_200)
    feeding.tick()
    status = feeding.status()
    assert (status.state, status.reasons, status.pays_at_once) == ("HALTED", ["index_leap"], False)
    assert feeding.closing(bought.position_id, "instant").code == "payout_at_fill_only"
    assert feeding.closing(bought.position_id, "at_fill").code == "quote_missing"
    assert feeding.outcome_of_opening(feeding.option("C")) == "coin_halted"
    source.at(BTC=90_000)
    feeding.tick()
    assert feeding.closing(bought.position_id, "instant").code == "payout_at_fill_only", "not yet reopened"
    closed = feeding.closing(bought.position_id, "at_fill").order
    assert closed.amount < bought.amount
    assert set(feeding.recorded()) == {Decimal(90_000)}, "the settlement index has none of it"
    assert rejections() == {("binance", "BTC", "leap"): 1}


def test_calls_are_not_sold_at_the_bottom_of_a_wick(feeding):
    """Seen: 200 calls bought for 19.20 in a wick, closed a second later for 19,309."""
    feeding.tick(3)
    call = feeding.option("C")
    [source] = feeding.sources
    for price in (8_200, 90_000, 8_200, 8_300, 90_000):
        source.at(BTC=price)
        feeding.tick()
        assert feeding.outcome_of_opening(call, 200) == "coin_halted"
    for _ in range(25):
        feeding.tick()
    assert feeding.status().state == "NORMAL"
    bought = feeding.opened(call, 200)
    feeding.tick()
    assert feeding.closing(bought.position_id, "instant").order.amount < bought.amount
    assert set(feeding.recorded()) == {Decimal(90_000)}


@pytest.mark.parametrize(
    ("odd", "cause"),
    [
        (("0", "3000.5"), "one_sided"),
        ((None, None), "one_sided"),
        (("3001", "2999"), "crossed"),
        (("NaN", "3000"), "malformed"),
        (("99999999999999999999", "99999999999999999999"), "malformed"),
        (Cause.UNLISTED, "unlisted"),
        (Cause.UNREACHABLE, "unreachable"),
    ],
)
def test_an_odd_book_of_one_coin_stops_no_other(feeding, odd, cause):
    feeding.tick(3)
    [source] = feeding.sources
    source.books["ETH"] = odd
    source.at(BTC=90_020)
    feeding.tick()
    assert (feeding.recorded()[-1], feeding.recorded("ETH")[-1]) == (90_020, 3_000)
    newest = Quote.objects.filter(option__underlying="BTC").latest("quoted_at")
    assert newest.quoted_at == feeding.now
    assert rejections() == {("binance", "ETH", cause): 1}
    feeding.tick(8)
    assert (feeding.status("BTC").state, feeding.status("ETH").state) == ("NORMAL", "HALTED")
    assert feeding.status("ETH").reasons == ["quotes_stale"]


def test_a_coin_that_cannot_be_listed_or_stored_stops_no_other(feeding):
    [source] = feeding.sources
    source.at(ETH="0.5")  # strikes are whole USD
    feeding.tick(3)
    assert feeding.recorded()
    assert not feeding.recorded("ETH")
    assert feeding.status("BTC").state == "NORMAL"


def test_a_new_level_is_followed_once_confirmed_and_the_coin_reopens_by_itself(feeding):
    feeding.tick(3)
    [source] = feeding.sources
    states, source_price = [], 85_000
    source.at(BTC=source_price)
    for _ in range(50):
        feeding.tick()
        states.append(feeding.status().state)
    confirmed_after = 5 + 17  # 5.9 % off: 3 s times 5.9
    assert states[:confirmed_after] == ["HALTED"] * confirmed_after
    assert states[-1] == "NORMAL"
    assert states.count("HALTED") <= confirmed_after + 10
    assert set(feeding.recorded()) == {Decimal(90_000), Decimal(85_000)}
    assert feeding.status("ETH").state == "NORMAL"


def test_a_crash_at_its_own_speed_halts_nothing_and_is_tracked_tick_by_tick(feeding):
    prices = crash("BTC")
    steepest = max(range(60, len(prices)), key=lambda at: abs(prices[at] - prices[at - 60]))
    [source] = feeding.sources
    for price in prices[steepest - 60 : steepest]:
        source.at(BTC=price)
        feeding.tick()
    assert feeding.status().state == "NORMAL"
    assert abs(feeding.recorded()[-1] - prices[steepest - 1]) < 1


def test_one_of_three_sources_that_leaps_freezes_or_falls_silent_changes_nothing(term, settings):
    sources = [WrittenSource(name) for name in ("binance", "kraken", "coinbase")]
    feeding = Feeding(*sources, term=term, options=settings)
    feeding.tick(3)
    sources[0].at(BTC=8_200)
    feeding.tick(3)
    assert feeding.status().state == "NORMAL"
    sources[0].at(BTC=90_000)
    for source in sources[1:]:  # the first one is frozen while the others move on
        source.at(BTC=90_600)
    feeding.tick(2)
    assert feeding.recorded()[-1] == 90_600
    sources[0].silent = True
    feeding.tick(5)
    assert feeding.recorded()[-1] == 90_600
    assert len(feeding.recorded()) == 12, "every tick but the first"
    assert rejections() == {
        ("binance", "BTC", "apart"): 5,
        ("binance", "BTC", "unreachable"): 2,
        ("binance", "ETH", "unreachable"): 2,
    }


def test_another_process_goes_on_from_the_level_that_was_published(feeding, term):
    feeding.tick(3)
    [source] = feeding.sources
    source.at(BTC=8_200)
    other = Index([source])
    other.begin(now=feeding.now)
    reading = other.read(now=feeding.now + SECOND)
    assert "BTC" not in reading.prices
    assert set(reading.leaps) == {"BTC"}


def test_a_new_leader_quotes_what_is_listed_before_it_lists_anything(feeding, term):
    """Until it has quoted nobody can trade, and each statement counts where all the world has just come back."""
    feeding.tick(3)
    listed = set(Option.objects.values_list("pk", flat=True))
    gone = Option.objects.filter(underlying="BTC").latest("pk")
    gone.delete()
    feeding.feed = Feed(feeding.index, term, judge=feeding._judged)
    before = round_of(feeding)
    assert not [sql for sql in before if sql.startswith('INSERT INTO "counter_option"')]
    assert len(before) <= 16 + 2  # the options of both coins are read
    assert set(Quote.objects.values_list("quoted_at", flat=True)) == {feeding.now}
    assert Option.objects.count() == len(listed) - 1
    feeding.tick()
    assert Option.objects.count() == len(listed)
    assert set(Quote.objects.values_list("quoted_at", flat=True)) == {feeding.now}


def round_of(feeding):
    """The statements of one round: a tick, and the judgement of all coins."""
    with CaptureQueriesContext(connection) as captured:
        feeding.tick()
    return [query["sql"].lstrip() for query in captured]


def test_a_round_takes_few_statements_and_as_many_for_two_coins_as_for_one(feeding, settings):
    feeding.tick(3)
    of_two = round_of(feeding)
    # Two transactions, each with begin, lead in two and commit: index and quotes; the statuses' lock, switches, change.
    # Before the second what it judges by is measured, in two: orders, and what was quoted and said by the desk.
    assert len(of_two) <= 15
    assert feeding.recorded("ETH")[-1] == 3_000
    settings.COINS = {"BTC": settings.COINS["BTC"]}
    assert len(round_of(feeding)) == len(of_two)


@contextmanager
def unstorable(coin):
    """For the block, the database takes no index of a coin."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE counter_indexprice ADD CONSTRAINT unstorable CHECK (underlying <> '{coin}') NOT VALID"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE counter_indexprice DROP CONSTRAINT unstorable")


@pytest.mark.parametrize(("odd", "other"), [("ETH", "BTC"), ("BTC", "ETH")])
def test_a_coin_that_cannot_be_stored_leaves_the_others_quotes_written(feeding, odd, other):
    def newest(coin):
        return Quote.objects.filter(option__underlying=coin).latest("quoted_at").quoted_at

    feeding.tick(3)
    together, before = round_of(feeding), feeding.now
    with unstorable(odd):
        for _ in range(2):
            feeding.tick()
            assert (newest(odd), newest(other)) == (before, feeding.now)
        assert len(feeding.recorded(other)) == len(feeding.recorded(odd)) + 2
    feeding.tick()
    assert newest(odd) == newest(other) == feeding.now
    assert len(round_of(feeding)) == len(together), "both in one transaction again"

"""What a process with a wrong clock has stored at counter: it proves nothing, and the next truth replaces it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from config.celery import app
from counter.access import api_keys, rate_limit
from counter.access.key_uses import KeyUses
from counter.contracts import CoinCondition
from counter.market import firm_quotes
from counter.market.firm_quotes import OpenQuoteRequest
from counter.market.quotes import NewQuote, current_quotes, record_index, update_quotes
from counter.models import ApiKey, DeskCondition, IndexPrice, Quote, TradingStatus
from counter.orders import outbox
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, CloseRequest, OpenRequest
from counter.stream.stream_processes import Counts, alive, note
from counter.trading.conditions import take_conditions
from counter.trading.status import trading_by_coin
from counter.trading.watch import Watch
from infra.broker.canary import note_return, trips
from infra.broker.scheduler import Entry
from tests.support.factories import make_customer, make_option, make_quote, place_open, unique

pytestmark = pytest.mark.django_db(transaction=True)

AHEAD = [timedelta(hours=1), timedelta(minutes=2)]


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def option(now):
    return make_option(now=now - timedelta(seconds=3))


def quoted(option, *, index, at):
    quote = NewQuote(
        option.symbol, Decimal("0.02"), Decimal("0.025"), Decimal("0.0225"), Decimal("0.5"), index
    )
    return update_quotes(quotes=[quote], now=at)


def outcome(customer, option, now):
    [found] = place_orders(requests=[OpenRequest(customer.pk, unique("o"), option.symbol, 1)], now=now)
    return "accepted" if isinstance(found, Accepted) else str(found.code)


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_quote_of_the_future_is_stale_for_everybody_and_the_next_tick_replaces_it(now, option, ahead):
    customer = make_customer()
    opened = place_open(customer, option, now=now)
    assert quoted(option, index=Decimal(90_000), at=now + ahead) == 1

    assert outcome(customer, option, now) == "quote_stale"
    close = CloseRequest(customer.pk, unique("c"), opened.position_id)
    assert [str(found.code) for found in place_orders(requests=[close], now=now)] == ["quote_stale"]
    asked = OpenQuoteRequest(customer_id=customer.pk, symbol=option.symbol, contracts=1)
    assert str(firm_quotes.give(request=asked, now=now).code) == "quote_stale"
    assert [each.is_stale for each in current_quotes(now=now)] == [True]

    later = now + timedelta(seconds=1)
    assert quoted(option, index=Decimal(60_000), at=later) == 1
    stored = Quote.objects.get()
    assert (stored.index_price, stored.quoted_at) == (60_000, later)
    assert [each.is_stale for each in current_quotes(now=later)] == [False]
    assert outcome(customer, option, later) == "accepted"


def test_an_older_quote_still_takes_no_newer_ones_place(now, option):
    assert quoted(option, index=Decimal(90_000), at=now) == 1
    for behind in (timedelta(milliseconds=1), timedelta(minutes=2), timedelta(hours=1)):
        assert quoted(option, index=Decimal(60_000), at=now - behind) == 0
    assert Quote.objects.get().index_price == 90_000


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_coin_judged_in_the_future_takes_no_opens_and_is_judged_by_the_next_tick(now, option, ahead):
    customer = make_customer()
    make_quote(option, now=now + ahead)
    Watch(started_at=now + ahead).judge(now=now + ahead)
    make_quote(option, now=now)
    assert outcome(customer, option, now) == "coin_halted"
    assert trading_by_coin(now=now)["BTC"].reasons == ("unwatched",)
    later = now + timedelta(seconds=1)
    Watch(started_at=now).judge(now=later)
    assert {status.judged_at for status in TradingStatus.objects.all()} == {later}
    assert outcome(customer, option, later) == "accepted"


def test_a_coin_whose_recovery_began_in_the_future_reopens_in_its_usual_time(now, option, settings):
    Watch(started_at=now).judge(now=now)
    TradingStatus.objects.update(state="WIDE", easing_since=now + timedelta(hours=1))
    watch, seconds = Watch(started_at=now), settings.REOPEN_AFTER_SECONDS
    for after in (1, 1 + seconds):
        moment = now + timedelta(seconds=after)
        make_quote(option, now=moment)
        watch.judge(now=moment)
    assert TradingStatus.objects.get(underlying="BTC").state == "NORMAL"


def test_a_feed_whose_time_is_set_back_by_an_hour_goes_on_judging(now, option):
    watch = Watch(started_at=now + timedelta(hours=1))
    watch.judge(now=now + timedelta(hours=1))
    watch.judge(now=now)
    assert {status.judged_at for status in TradingStatus.objects.all()} == {now}
    late = now + timedelta(seconds=31)
    watch.judge(now=late)  # and misses the desk in its usual time
    assert "desk_silent" in TradingStatus.objects.get(underlying="BTC").reasons


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_customer_whose_orders_were_paced_in_the_future_has_one_burst_at_once(now, option, settings, ahead):
    settings.CUSTOMER_ORDERS_PER_S, settings.CUSTOMER_BURST_SECONDS = 1, 5
    customer = make_customer()
    make_quote(option, now=now + ahead)
    assert outcome(customer, option, now + ahead) == "accepted"
    make_quote(option, now=now)
    codes = [outcome(customer, option, now) for _ in range(7)]
    assert codes == ["accepted"] * 5 + ["too_many_orders"] * 2


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_rate_limit_used_in_the_future_gives_one_burst_at_once(now, ahead):
    limit = rate_limit.Limit("somebody:1", per_second=2, at_once=5)
    rate_limit.grant({limit: 5}, now=now + ahead)
    granted, standing = rate_limit.grant({limit: 9}, now=now)[limit]
    assert (granted, standing.remaining, standing.reset_seconds) == (5, 0, 3)
    assert rate_limit.grant({limit: 1}, now=now)[limit][0] == 0
    assert rate_limit.grant({limit: 9}, now=now + timedelta(seconds=1))[limit][0] == 2


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_firm_quote_given_in_the_future_promises_nothing_and_uses_up_nothing(now, option, settings, ahead):
    settings.FIRM_QUOTES_LIVE = 1
    customer = make_customer()
    asked = OpenQuoteRequest(customer_id=customer.pk, symbol=option.symbol, contracts=1)
    make_quote(option, now=now + ahead)
    wrong = firm_quotes.give(request=asked, now=now + ahead)
    make_quote(option, now=now)
    order = OpenRequest(customer.pk, unique("o"), option.symbol, 1, quote_id=wrong.pk)
    assert [str(found.code) for found in place_orders(requests=[order], now=now)] == ["quote_expired"]
    assert firm_quotes.give(request=asked, now=now).given_at == now


def test_samples_of_the_future_are_gone_before_an_expiry_could_average_them(now):
    wrong = {"BTC": Decimal(90_000), "ETH": Decimal(3_000)}
    for second in range(3):
        record_index(prices=wrong, now=now + timedelta(hours=1, seconds=second))
    record_index(prices={"BTC": Decimal(60_000)}, now=now)
    record_index(prices={"BTC": Decimal(60_001)}, now=now + timedelta(seconds=1))
    kept = list(IndexPrice.objects.filter(underlying="BTC").order_by("id").values_list("price", flat=True))
    assert kept == [60_000, 60_001]
    assert IndexPrice.objects.filter(underlying="ETH").count() == 3  # each coin by its own next sample


def test_a_feed_that_is_behind_forgets_no_sample(now):
    record_index(prices={"BTC": Decimal(60_000)}, now=now)
    record_index(prices={"BTC": Decimal(90_000)}, now=now - timedelta(hours=1))
    assert IndexPrice.objects.count() == 2


def test_a_desk_that_spoke_ahead_of_time_is_heard_again_with_its_next_word(now):
    def told(coin, *, as_of):
        return take_conditions(coins=[CoinCondition("BTC", Decimal(coin))], as_of=as_of, now=now)

    assert told(1, as_of=now + timedelta(seconds=50)) == ["BTC"]
    assert told(2, as_of=now) == ["BTC"]
    assert told(3, as_of=now - timedelta(seconds=1)) == []
    assert DeskCondition.objects.get().unhedged_coin == 2


def test_a_desk_heard_in_the_future_is_silent(now, option):
    Watch(started_at=now).judge(now=now)
    take_conditions(coins=[CoinCondition("BTC", Decimal(0))], as_of=now, now=now)
    DeskCondition.objects.update(received_at=now + timedelta(hours=1))
    Watch(started_at=now - timedelta(hours=1)).judge(now=now + timedelta(seconds=1))
    assert "desk_silent" in TradingStatus.objects.get(underlying="BTC").reasons


def test_an_order_placed_in_the_future_is_offered_to_the_desk_at_once_and_page_by_page(now, option):
    customer = make_customer()
    make_quote(option, now=now + timedelta(hours=1))
    wrong = [place_open(customer, option, now=now + timedelta(hours=1)).id for _ in range(2)]
    make_quote(option, now=now)
    right = place_open(customer, option, now=now).id
    pages, after_id = [], 0
    while page := outbox.unsynced(placed_before=now, limit=1, after_id=after_id):
        after_id = page[-1].order_id
        pages.append(after_id)
    assert pages == [right, *wrong]


def test_a_canary_that_beat_dated_into_the_future_gives_way_to_the_next(now):
    def returned(sent_at):
        note_return(queue="settle", sent_at=sent_at.isoformat())

    returned(now + timedelta(hours=1))
    returned(now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sent_at FROM config_canary")
        assert cursor.fetchone()[0] == now
        cursor.execute("UPDATE config_canary SET returned_at = clock_timestamp() + interval '1 hour'")
    [trip] = [each for each in trips() if each.queue == "settle"]
    assert not trip.ok


def test_a_stream_process_heard_in_the_future_does_not_live(now):
    counts = Counts(0, 0, 0, 0, 0, 0)
    note(counts, started_at=now, now=now + timedelta(hours=1))
    assert alive(now=now) == []
    note(counts, started_at=now, now=now)
    assert len(alive(now=now)) == 1


def test_a_key_used_in_the_future_is_noted_again(now):
    key = api_keys.issue(customer_id=make_customer().pk, label="bot", scopes=["read"], now=now).key
    for moment in (now + timedelta(hours=1), now):
        uses = KeyUses()
        uses.note([key.pk], now=moment)
        uses.write(now=moment, connect=lambda: None)
    assert ApiKey.objects.get(pk=key.pk).last_used_at == now


def test_a_schedule_that_ran_in_the_future_comes_again_in_its_interval(now):
    every, _ = IntervalSchedule.objects.get_or_create(every=5, period=IntervalSchedule.SECONDS)
    made = PeriodicTask.objects.create(
        name="a test", task="a.test", interval=every, last_run_at=now + timedelta(hours=1)
    )
    entry = Entry(made, app=app)
    is_due, seconds = entry.is_due()
    assert not is_due
    assert 0 < seconds <= 5

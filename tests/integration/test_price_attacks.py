"""What a customer with a fast bot makes of odd prices: nothing. Each case gains where its protection is taken away."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from counter.market.quotes import current_quotes
from counter.models import Quote
from tests.support.feeding import SECOND, Feeding
from tests.support.index_sources import WrittenSource
from tests.support.standing import Paused

pytestmark = pytest.mark.django_db(transaction=True)

SPOT = 90_000
ANY = Decimal(10**6)


@pytest.fixture
def term() -> Iterator[object]:
    with Paused("feed") as paused:
        yield paused.term


@pytest.fixture
def feeding(term, settings) -> Feeding:
    return Feeding(WrittenSource(), term=term, options=settings)


def at(feeding, price) -> None:
    """One tick at this price of all sources."""
    for source in feeding.sources:
        source.at(BTC=price)
    feeding.tick()


def best_gain(feeding, kind, prices, contracts=100) -> Decimal:
    """The most USDT that one purchase makes: opened before, or with any of these prices, closed with a later one."""
    option = feeding.option(kind)
    costs, best = [feeding.opened(option, contracts).amount], Decimal("-Infinity")
    for price in prices:
        at(feeding, price)
        [quoted] = current_quotes(now=feeding.later(), symbol=option.symbol)
        if quoted.proceeds is not None:
            best = max(best, quoted.proceeds * contracts - min(costs))
        if quoted.cost is not None:
            costs.append(feeding.opened(option, contracts, max_cost=ANY).amount)
    return best


@pytest.mark.parametrize("kind", ["C", "P"])
@pytest.mark.parametrize(
    "wick",
    [
        pytest.param(["0.991"], id="down"),
        pytest.param(["1.009"], id="up"),
        pytest.param(["0.991", "0.982", "0.991"], id="down in two steps"),
        pytest.param(["0.991", "1", "0.991", "1"], id="again and again"),
        pytest.param(["0.991", "1.0005", "1.0095"], id="both ways"),
    ],
)
def test_a_wick_of_under_one_per_cent_a_second_gains_nobody_anything(feeding, kind, wick):
    feeding.tick(3)
    prices = [SPOT * Decimal(rate) for rate in [*wick, "1", "1", "1", "1", "1"]]
    assert best_gain(feeding, kind, prices) < 0


@pytest.mark.parametrize("kind", ["C", "P"])
@pytest.mark.parametrize("rate", ["0.975", "1.025"])
def test_a_wick_after_a_pause_of_the_source_gains_nobody_anything(feeding, kind, rate):
    """A pause leaves room for as many seconds' movement at once: 2.5 % here, published with the first sample."""
    feeding.tick(3)
    [source] = feeding.sources
    source.silent = True
    feeding.tick(3)
    source.silent = False
    wick = SPOT * Decimal(rate)
    assert best_gain(feeding, kind, [wick, wick, *[SPOT] * 5]) < 0


@pytest.mark.parametrize("kind", ["C", "P"])
def test_a_wick_at_the_end_of_an_outage_gains_nobody_anything(feeding, kind):
    """After five minutes the index begins anew: nobody knows how far the market has gone, nor whether it has."""
    feeding.tick(3)
    feeding.opened(feeding.option(kind), 1)
    feeding.now += 400 * SECOND
    for price in (8_200, 8_200):
        at(feeding, price)
    feeding.tick(12)  # the coin reopens meanwhile, at that level
    assert best_gain(feeding, kind, [8_200] * 2 + [SPOT] * 45) < 0


@pytest.mark.parametrize("kind", ["C", "P"])
def test_another_feed_takes_over_in_a_leap_and_its_level_is_not_believed_at_once(feeding, kind, term):
    feeding.tick(3)
    held = feeding.opened(feeding.option(kind), 10)
    wick = SPOT * Decimal("0.98" if kind == "P" else "1.02")
    at(feeding, wick)
    assert feeding.index.leaps
    feeding.now += 3 * SECOND
    other = Feeding(*feeding.sources, term=term, options=feeding.options, now=feeding.now)
    other.index.begin(now=other.now)
    other.customer, other.watch = feeding.customer, feeding.watch
    at(other, wick)
    assert other.closing(held.position_id, "at_fill").order.fair < held.fair


def test_a_source_that_freezes_beside_one_that_moves_is_not_believed(term, settings):
    """Of two nobody knows which is right: the last seconds choose for as long as they may, and no longer."""
    frozen, moving = WrittenSource("binance"), WrittenSource("kraken")
    feeding = Feeding(frozen, moving, term=term, options=settings)
    feeding.tick(3)
    call = feeding.option("C")
    price = Decimal(SPOT)
    for _ in range(20):
        price *= Decimal("1.001")
        moving.at(BTC=price)
        feeding.tick()
    assert Quote.objects.get(option=call).ask is None
    assert feeding.status().state == "HALTED"
    assert max(feeding.recorded()) < SPOT * Decimal("1.006")
    frozen.at(BTC=price)
    feeding.tick(30)
    assert feeding.recorded()[-1] == pytest.approx(price)
    assert feeding.status().state == "NORMAL"


@pytest.mark.parametrize("odd", [("88000", "91000"), ("90001", "89000"), ("0", "90000"), ("1", "2e99")])
def test_what_cannot_be_believed_a_second_time_leaves_no_old_price_to_trade_at(feeding, odd):
    """The market falls while the book is in disorder: nobody buys puts at what they cost before, nor sells calls."""
    feeding.tick(3)
    call, put = feeding.option("C"), feeding.option("P")
    held = feeding.opened(call, 10)
    [source] = feeding.sources
    source.books["BTC"] = odd
    feeding.tick(2)
    assert feeding.outcome_of_opening(put) == "quote_missing"
    assert feeding.closing(held.position_id, "instant").code == "quote_missing"
    assert feeding.closing(held.position_id, "at_fill").code == "quote_missing"
    source.at(BTC=SPOT)
    feeding.tick()
    assert feeding.outcome_of_opening(put) == "accepted"
    assert feeding.status().state == "NORMAL"


def test_a_price_of_a_hundred_digits_stops_no_other_coin(feeding):
    feeding.tick(3)
    [source] = feeding.sources
    source.books["ETH"] = ("9999." + "9" * 92,) * 2  # their sum has more digits than a calculation
    source.at(BTC=90_020)
    feeding.tick()
    assert feeding.recorded()[-1] == 90_020

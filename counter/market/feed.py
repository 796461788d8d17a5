"""The `feed` process: makes the index of every coin and quotes every listed option at it, once a second.

A quote is only as good as its index: where none can be made nothing is written, quotes grow stale by themselves, and
orders are refused until prices are back; where it leaps, or nothing that sources say can be believed, quotes are
withdrawn. With each tick, failed or not, every coin
is judged too.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import structlog
from django.conf import settings
from django.db import close_old_connections, connections, transaction

from counter.expiring import expiry
from counter.expiring.index_average import WINDOW, AverageSoFar
from counter.expiring.index_record import averages_so_far
from counter.limits import in_force
from counter.market import chain, listing, quotes
from counter.market.book_base import BookBase
from counter.market.book_limits import BookLimits
from counter.market.book_reader import BookReader
from counter.market.index import Index, Reading
from counter.market.index_level import Span
from counter.market.index_rejections import RejectionCounts
from counter.market.index_sources import configured
from counter.market.model_quotes import ExpiryModel, ModelQuote
from counter.market.outage import Outage
from counter.market.volatility import DEFAULT_SURFACE, VolatilityError, VolatilitySurface, chain_surface
from counter.models import Option
from counter.pricing.black76 import ByKind, ModelInputInvalid
from counter.trading import desk_load
from counter.trading.watch import Watch
from infra.coordination import clock
from infra.coordination.clock import ClockUnknown
from infra.coordination.leadership import Leadership, LeadershipLost, Term
from infra.db.transient_errors import is_transient

log = structlog.get_logger(__name__)

RELIST_EVERY = timedelta(minutes=1)
# Beat and the workers end options within seconds. Without them or their broker nobody else would.
EXPIRE_EVERY_SECONDS = 20.0

Window = tuple[str, datetime]  # of a coin, before this moment of expiry
Expiries = dict[datetime, dict[Decimal, list[Option]]]  # a coin's options by expiry and strike


class Feed:
    """Lists options and quotes them; a `recorded` option chain gives instruments and volatilities.

    All that it writes is written as the leader's, or not at all. `judge` is told the coins whose index leaps as soon as
    that is known, before anything else is written: it halts them.
    """

    def __init__(
        self,
        index: Index,
        term: Term,
        *,
        judge: Callable[[Mapping[str, datetime]], None],
        recorded: Sequence[chain.ChainRow] = (),
        charging: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._index = index
        self._term = term
        self._judge = judge
        self._rejections = RejectionCounts()
        self._options: dict[str, Expiries] = {}
        self._listed_at: dict[str, datetime] = {}
        self._surfaces: dict[str, VolatilitySurface] = dict.fromkeys(settings.COINS, DEFAULT_SURFACE)
        self._recorded = recorded
        self._charging = charging
        self._unknown: dict[str, frozenset[Window]] = {}
        self._troubles: dict[str, str] = {}

    def tick(self, *, now: datetime) -> int:
        """Read the index, halt what leaps, quote every living option of the other coins; how many were quoted.

        A coin that cannot be quoted keeps no other from it.

        Raises: LeadershipLost and database errors.
        """
        reading = self._index.read(now=now)
        if unknown := {*reading.leaps, *reading.doubted}:
            self._withdraw(unknown, now)
        if reading.leaps:
            self._judge(reading.leaps)
        for coin in settings.COINS:
            if coin not in reading.prices:
                causes = sorted({f"{each.source} {each.cause}" for each in reading.rejected.get(coin, [])})
                self._tell(coin, ", ".join(causes) or "no confirmed sample yet")
        count = 0
        for coins in self._together(reading):
            count += self._try_to_publish(coins, reading, now)
        self._rejections.add(reading.rejected)
        if self._rejections:
            with self._writing():
                self._rejections.store(now=now)
            self._rejections.clear()
        return count

    def _together(self, reading: Reading) -> list[list[str]]:
        """The coins that are published with each other: all whose price is of one moment, but for those in trouble."""
        found: dict[tuple[datetime, str], list[str]] = {}
        for coin, point in reading.prices.items():
            apart = coin if self._troubles.get(coin, "") else ""
            found.setdefault((point.at, apart), []).append(coin)
        return list(found.values())

    def _try_to_publish(self, coins: Sequence[str], reading: Reading, now: datetime) -> int:
        """How many options were quoted. Coins that cannot be published together are published each by itself.

        What goes wrong with one coin is told, and goes no further; but without database or lead nothing goes on.

        Raises: LeadershipLost; database errors of which `is_transient` holds.
        """
        try:
            count = self._publish(coins, reading, now)
        except LeadershipLost:
            raise
        except Exception as error:
            if is_transient(error):
                raise
            if len(coins) > 1:
                log.debug("not quoted together", coins=coins, error=repr(error))
                return sum(self._try_to_publish([coin], reading, now) for coin in coins)
            self._tell(coins[0], repr(error))
            return 0
        for coin in coins:
            self._tell(coin, "")
        return count

    def _publish(self, coins: Sequence[str], reading: Reading, now: datetime) -> int:
        """Index and quotes of coins whose price is of one moment, in one transaction."""
        prices = {coin: reading.prices[coin].price for coin in coins}
        at = reading.prices[coins[0]].at
        for coin, price in prices.items():
            self._list_if_due(coin, price, now)
        with self._writing():
            quotes.record_index(prices=prices, now=at)
            averages = self._averages(coins, now)
            fresh = [
                quote
                for coin, price in prices.items()
                for quote in self._quotes(coin, price, reading.spans[coin], averages, now)
            ]
            quotes.update_quotes(quotes=fresh, now=at)
        return len(fresh)

    def _withdraw(self, coins: Iterable[str], now: datetime) -> None:
        """With every tick anew: a feed that was deposed a moment ago may have quoted since."""
        with self._writing():
            for coin in coins:
                quotes.withdraw_quotes(underlying=coin, now=now)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with transaction.atomic():
            self._term.fence()
            yield

    def _tell(self, coin: str, trouble: str) -> None:
        """Say once what keeps a coin from being quoted, and once that it is over."""
        if trouble and trouble != self._troubles.get(coin, ""):
            log.warning("no fresh quotes", coin=coin, why=trouble)
        elif not trouble and self._troubles.get(coin, ""):
            log.info("quoting again", coin=coin)
        self._troubles[coin] = trouble

    def _list_if_due(self, coin: str, index: Decimal, now: datetime) -> None:
        """List what is to be offered, once a minute. A new leader quotes first what is listed already: until the first
        quotes nobody can trade.
        """
        listed_at = self._listed_at.get(coin)
        if listed_at is not None and abs(now - listed_at) < RELIST_EVERY:
            return
        if self._recorded:
            shifted = chain.shifted(self._recorded, now=now)
            rows = [row for row in shifted if row.underlying == coin]
            self._surfaces[coin] = chain_surface(rows)
            offered = listing.chain_listings(rows)
        else:
            offered = listing.listings(underlying=coin, index=index, now=now)
        if coin not in self._options and (listed := _listed(coin, now)):
            self._options[coin] = listed
            return
        with self._writing():
            quotes.list_options(listings=offered, now=now)
        self._options[coin], self._listed_at[coin] = _listed(coin, now), now

    def _quotes(
        self, coin: str, index: Decimal, span: Span, averages: Mapping[Window, AverageSoFar], now: datetime
    ) -> list[quotes.NewQuote]:
        """Quotes of a coin's living options; one that the model has no price for keeps no other from its own.

        Raises: VolatilityError, ModelInputInvalid when that is so of all.
        """
        made: list[quotes.NewQuote] = []
        refused, with_greeks = None, coin in self._charging()
        for expires_at, strikes in self._alive(coin, now).items():
            window = coin, expires_at
            if window in self._unknown[coin]:
                continue
            try:
                model = ExpiryModel(
                    underlying=coin,
                    expires_at=expires_at,
                    surface=self._surfaces[coin],
                    now=now,
                    index=index,
                    span=span,
                    so_far=averages.get(window),
                )
            except (VolatilityError, ModelInputInvalid) as error:
                refused = error
                log.debug("expiry not quoted", coin=coin, expiry=str(expires_at), error=str(error))
                continue
            for strike, options in strikes.items():
                try:
                    both = model.quotes(strike, with_greeks=with_greeks)
                    made += [_new_quote(option, both, index) for option in options]
                except (VolatilityError, ModelInputInvalid) as error:
                    refused = error
                    log.debug(
                        "strike not quoted", options=[option.symbol for option in options], error=str(error)
                    )
        if refused is not None and not made:
            raise refused
        return made

    def _alive(self, coin: str, now: datetime) -> Expiries:
        return {
            expires_at: strikes for expires_at, strikes in self._options[coin].items() if expires_at > now
        }

    def _averages(self, coins: Sequence[str], now: datetime) -> dict[Window, AverageSoFar]:
        """What is known of the settlement indexes whose windows have begun, after this tick's index was recorded.

        Options whose index will have to be entered by a person are not quoted: what they will be worth is not known.
        One statement for each moment of expiry whose window has begun.
        """
        begun: dict[datetime, set[str]] = {}
        for coin in coins:
            for expires_at in self._alive(coin, now):
                if expires_at - WINDOW <= now:
                    begun.setdefault(expires_at, set()).add(coin)
        found = {
            (coin, expires_at): average
            for expires_at in sorted(begun)
            for coin, average in averages_so_far(begun[expires_at], expires_at=expires_at, now=now).items()
        }
        for coin in coins:
            unknown = frozenset(
                window for window, average in found.items() if average is None and window[0] == coin
            )
            for _, expires_at in unknown - self._unknown.get(coin, frozenset()):
                log.error("not quoted: the record of the index has a gap", coin=coin, expiry=str(expires_at))
            self._unknown[coin] = unknown
        return {window: average for window, average in found.items() if average is not None}


def _new_quote(option: Option, both: ByKind[ModelQuote], index: Decimal) -> quotes.NewQuote:
    made = both.of(option.kind)  # type: ignore[arg-type]
    return quotes.NewQuote(
        symbol=option.symbol,
        bid=made.bid,
        ask=made.ask,
        mark=made.mark,
        implied_volatility=made.implied_volatility,
        index_price=index,
        forward=made.forward,
        delta=made.delta,
        vega=made.vega,
    )


def _listed(coin: str, now: datetime) -> Expiries:
    """The living options of a coin, by expiry and strike."""
    found: Expiries = {}
    for option in Option.objects.filter(expires_at__gt=now, underlying=coin):
        found.setdefault(option.expires_at, {}).setdefault(option.strike, []).append(option)
    return found


def run(stopping: threading.Event) -> None:
    """Quote while this process leads, until told to stop; end what has expired if nobody else does.

    Raises: ImproperlyConfigured for sources that there are not; ChainInvalid, OSError for a recorded chain that cannot
    be read.
    """
    index, recorded = Index(configured()), _recorded_chain()
    threading.Thread(target=_expire_on, args=[stopping], name="expire", daemon=True).start()
    Leadership("feed", using="default").lead(
        partial(_quote_on, index, recorded, stopping), stopping=stopping, meanwhile=partial(_stay_warm, index)
    )


def _stay_warm(index: Index) -> None:
    if (now := clock.of("default").known()) is not None:
        index.stay_warm(now=now)


def _recorded_chain() -> list[chain.ChainRow]:
    """The first option chain among MARKET_DATA, if there is one."""
    path = next((path for path in settings.MARKET_DATA if chain.is_option_chain(path)), None)
    return [] if path is None else chain.read_chain(path)


def _expire_on(stopping: threading.Event) -> None:
    """Beside the quotes, so that these do not wait: what it does may be done by any number of processes."""
    while not stopping.wait(EXPIRE_EVERY_SECONDS):
        try:
            expiry.sweep(now=clock.of("default").now())
        except Exception:
            log.exception("nothing has expired")
        close_old_connections()
    connections.close_all()  # this thread's own


def _quote_on(
    index: Index, recorded: Sequence[chain.ChainRow], stopping: threading.Event, term: Term
) -> None:
    """Tick until told to stop or another process leads; a tick that fails is logged and tried again."""
    began_at = clock.of("default").now()
    reader = BookReader()
    watch = Watch(started_at=began_at, term=term, book=BookLimits(reader).measures)
    series = in_force.SeriesWatch(started_at=began_at, term=term)
    base = BookBase(term=term, reader=reader)
    feed = Feed(
        index,
        term,
        judge=lambda leaps: watch.tick(now=clock.of("default").now(), leaps=leaps),
        recorded=recorded,
        charging=lambda: base.coins,
    )
    desk_load.watching(term, stopping)
    failing, begun, outage = False, False, Outage()
    while term.holds() and not stopping.is_set():
        started, away = time.monotonic(), False
        try:
            if not begun:
                index.begin(now=clock.of("default").now())
                base.begin()
                begun = True
            count = feed.tick(now=clock.of("default").now())
            if failing and count:
                log.info("quoting", options=count)
            failing = failing and not count
        except LeadershipLost:
            return
        except Exception as error:
            if not failing:
                log.exception("no fresh quotes", error=repr(error))
            failing, away = True, is_transient(error)
            close_old_connections()
        outage.note(away=away, at=started)
        with suppress(ClockUnknown):  # which has been told
            watch.tick(now=clock.of("default").now(), leaps=index.leaps)
            if not outage.lasts:
                series.tick(now=clock.of("default").now())
                base.tick(now=clock.of("default").now())
        next_at = started + outage.next_after(settings.QUOTE_EVERY_SECONDS, at=started)
        stopping.wait(max(0.0, next_at - time.monotonic()))

"""The index of every coin, tick by tick: what the sources say, what of it counts, and how far it may move at once.

It writes nothing; the feed publishes what it gives and halts what leaps.
"""

import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from django.conf import settings

from counter.market.index_bounds import Agreed, Book, Cause, IndexBounds, Rejection, agree
from counter.market.index_level import LeapLimits, Level, Point, Span, move
from counter.market.index_sources import Answer, Source
from counter.models import IndexPrice

log = structlog.get_logger(__name__)

# A standby asks its sources so often: one that was never asked lists its markets and connects first, for longer than a
# tick, and a coin whose feed moved would stay halted for it.
WARM_EVERY_SECONDS = 10.0
REMEMBERED = 40  # samples of a coin that a process begins with
NO_ANSWER = (Cause.UNREACHABLE, Cause.UNLISTED)


@dataclass(frozen=True, slots=True)
class Reading:
    """One tick: prices to be published by coin, since when coins leap, and what was rejected by coin.

    `spans` has the prices that still count beside each published one; `doubted` the coins of which, by a second answer
    in a row, nothing could be believed: their price is not the last one.
    """

    prices: dict[str, Point] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    doubted: list[str] = field(default_factory=list)
    leaps: dict[str, datetime] = field(default_factory=dict)
    rejected: dict[str, list[Rejection]] = field(default_factory=dict)


class Index:
    """Reads all sources at once and decides coin by coin; for one thread."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._used: dict[str, Answer] = {}
        self._levels: dict[str, Level] = {}
        self._split_since: dict[str, datetime] = {}
        self._doubted: set[str] = set()
        self._warm_until = 0.0

    def begin(self, *, now: datetime) -> None:
        """Go on from what was published last, by whichever process. Raises: database errors."""
        for coin in settings.COINS:
            rows = IndexPrice.objects.filter(underlying=coin, at__lte=now).order_by("-at")
            latest = rows.values_list("at", "price")[:REMEMBERED]
            self._levels[coin] = Level(tuple(Point(*row) for row in reversed(latest)))

    @property
    def leaps(self) -> dict[str, datetime]:
        """Since when the coins leap that do."""
        return {
            coin: level.leaping_since
            for coin, level in self._levels.items()
            if level.leaping_since is not None
        }

    def stay_warm(self, *, now: datetime) -> None:
        """For a standby: ask every source now and then, and wait for none: each answers its first tick in time."""
        if time.monotonic() >= self._warm_until:
            self._warm_until = time.monotonic() + WARM_EVERY_SECONDS
            for source in self._sources:
                source.ask(now=now)

    def read(self, *, now: datetime) -> Reading:
        """Ask every source, wait for INDEX_WAIT_SECONDS at most, and judge what has come.

        What comes later counts with the next tick, unless it is too old by then. Without anything new of a coin there
        is no price of it.
        """
        for source in self._sources:
            source.ask(now=now)
        until = time.monotonic() + settings.INDEX_WAIT_SECONDS
        answers = {
            source.name: source.answer(within_seconds=max(0.0, until - time.monotonic()))
            for source in self._sources
        }
        reading = Reading()
        for coin in settings.COINS:
            try:
                self._judge(coin, answers, reading, now)
            except Exception:  # the other coins go on
                log.exception("no index", coin=coin)
        reading.leaps.update(self.leaps)
        self._used = {name: answer for name, answer in answers.items() if answer is not None}
        return reading

    def _judge(self, coin: str, answers: dict[str, Answer | None], reading: Reading, now: datetime) -> None:
        bounds, limits = _bounds(), leap_limits()
        level = self._levels.get(coin, Level())
        new = {name for name, answer in answers.items() if answer is not self._used.get(name)}
        books, rejected = _told(coin, answers, new, bounds, now)
        agreed = agree(books, reference=self._reference(coin, level, now), bounds=bounds, now=now)
        self._note_split(coin, agreed, now)
        rejected += [each for each in agreed.rejected if each.source in new]
        if agreed.price is not None and any(book.source in new for book in agreed.books):
            level, is_published = move(level, agreed.price, limits=limits, now=now)
            if is_published:
                at = max(_asked_at(answers, book.source, now) for book in agreed.books)
                reading.prices[coin] = Point(at, agreed.price)
                reading.spans[coin] = level.span(limits=limits, now=now)
            elif level.leaping_since is not None:
                rejected += [
                    Rejection(book.source, Cause.LEAP, book.bid, book.ask)
                    for book in agreed.books
                    if book.source in new
                ]
            self._levels[coin] = level
        if rejected:
            reading.rejected[coin] = rejected
        self._note_doubt(coin, agreed, reading)

    def _reference(self, coin: str, level: Level, now: datetime) -> Decimal | None:
        """The casting vote of the last seconds. It ends soon after the last agreement: it says what it has chosen."""
        limits = leap_limits()
        split_since = self._split_since.get(coin)
        if split_since is not None and abs(now - split_since) >= limits.confirm_after:
            return None
        return level.reference(limits=limits, now=now)

    def _note_split(self, coin: str, agreed: Agreed, now: datetime) -> None:
        if agreed.is_split:
            self._split_since.setdefault(coin, now)
        elif len(agreed.books) > 1:
            self._split_since.pop(coin, None)

    def _note_doubt(self, coin: str, agreed: Agreed, reading: Reading) -> None:
        if agreed.price is not None:
            self._doubted.discard(coin)
        elif any(each.cause not in NO_ANSWER for each in reading.rejected.get(coin, [])):
            if coin in self._doubted:
                reading.doubted.append(coin)
            self._doubted.add(coin)


def _told(
    coin: str, answers: Mapping[str, Answer | None], new: Set[str], bounds: IndexBounds, now: datetime
) -> tuple[list[Book], list[Rejection]]:
    """What the sources say of a coin: books, and why there is none."""
    books, rejected = [], []
    for name, answer in answers.items():
        if answer is None or (name not in new and abs(now - answer.asked_at) > bounds.most_age):
            rejected.append(Rejection(name, Cause.UNREACHABLE))
        elif isinstance(told := answer.books.get(coin, Cause.UNLISTED), Book):
            books.append(told)
        elif name in new:
            rejected.append(Rejection(name, told))
    return books, rejected


def leap_limits() -> LeapLimits:
    """How far the index may move, as the settings have it."""
    return LeapLimits(
        per_second_rate=settings.INDEX_LEAP_PER_SECOND_RATE,
        window_rate=settings.INDEX_LEAP_WINDOW_RATE,
        window=_seconds(settings.INDEX_WINDOW_SECONDS),
        confirm_after=_seconds(settings.INDEX_CONFIRM_SECONDS),
        confirm_at_most=_seconds(settings.INDEX_CONFIRM_MOST_SECONDS),
    )


def _bounds() -> IndexBounds:
    return IndexBounds(
        most_spread_rate=settings.BOOK_MOST_SPREAD_RATE,
        most_age=_seconds(settings.INDEX_MOST_AGE_SECONDS),
        most_apart_rate=settings.INDEX_MOST_APART_RATE,
    )


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _asked_at(answers: dict[str, Answer | None], source: str, now: datetime) -> datetime:
    answer = answers[source]
    return now if answer is None else answer.asked_at

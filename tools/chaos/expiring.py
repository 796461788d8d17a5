"""Options that expire while everything is being broken, settled at the average of the half hour before.

Nothing real expires within two minutes of just any moment. So series that end soon are listed beside the others, under
symbols of a day that has gone by, with a record of the index of the half hour before: from then on it is counter's own
doing that quotes, ends, settles and exercises them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import psutil
from django.db.models import Count

from counter.expiring.index_average import WINDOW
from counter.market.listing import MULTIPLIERS
from counter.market.symbols import EXPIRY_TIME, format_symbol
from counter.models import Expiry, IndexPrice, Option, Position
from tools.chaos.programs import NotRunning, main_process
from tools.stack.lifecycle import StackInfo

# After the load begins; each is opened until OPENS_END_BEFORE_EXPIRY_SECONDS before its end.
FIRST_AFTER, THEN_EVERY = timedelta(seconds=75), timedelta(seconds=40)
RECORDED_EVERY = timedelta(seconds=5)
STRIKES_AWAY = (Decimal("-0.01"), Decimal("0.002"))  # from the index: one in the money, one next to it
FEEDS = ("feed", "feed-standby")


@dataclass(frozen=True, slots=True)
class Expiring:
    """The series that were listed, and when they end."""

    symbols: tuple[str, ...] = ()
    moments: tuple[datetime, ...] = ()

    def unsettled(self) -> int:
        """How many coins' expiries are not settled. Raises: database errors."""
        coins = len(MULTIPLIERS)
        settled = Expiry.objects.filter(expires_at__in=self.moments, state=Expiry.State.SETTLED).count()
        return coins * len(self.moments) - settled

    def positions(self) -> dict[str, int]:
        """How many positions in them there are, by state. Raises: database errors."""
        rows = Position.objects.filter(option__symbol__in=self.symbols).values_list("state")
        return dict(rows.annotate(count=Count("id")).order_by("state"))


def list_expiring(*, begins_at: datetime, seconds: float, now: datetime) -> Expiring:
    """List calls and puts of both coins that end during `seconds` of load, and record the index before `now`."""
    last = begins_at + timedelta(seconds=max(seconds, FIRST_AFTER.total_seconds()))
    moments = []
    moment = begins_at + FIRST_AFTER
    while moment <= last:
        moments.append(moment)
        moment += THEN_EVERY
    options = [
        option
        for coin in MULTIPLIERS
        for number, expires_at in enumerate(moments)
        for option in _options(coin, _recorded(coin, now), number, expires_at, now)
    ]
    Option.objects.bulk_create(options)
    return Expiring(tuple(option.symbol for option in options), tuple(moments))


def _recorded(coin: str, now: datetime) -> Decimal:
    """The index, after it was recorded for the half hour before its first sample as it was then."""
    first = IndexPrice.objects.filter(underlying=coin).order_by("at").first()
    if first is None:
        raise LookupError(f"no index of {coin}")
    begins_at = now - WINDOW
    count = max(0, (first.at - begins_at) // RECORDED_EVERY)
    IndexPrice.objects.bulk_create(
        IndexPrice(underlying=coin, price=first.price, at=begins_at + number * RECORDED_EVERY)
        for number in range(count)
    )
    return first.price


def _options(coin: str, index: Decimal, number: int, expires_at: datetime, now: datetime) -> list[Option]:
    day = datetime.combine((now - timedelta(days=2 + number)).date(), EXPIRY_TIME)
    options = []
    for away in STRIKES_AWAY:
        for kind, sign in (("C", 1), ("P", -1)):
            strike = Decimal(round(index * (1 + sign * away)))
            symbol = format_symbol(underlying=coin, expiry_at=day, strike=strike, kind=kind)  # type: ignore[arg-type]
            options.append(
                Option(
                    symbol=symbol,
                    underlying=coin,
                    kind=kind,
                    strike=strike,
                    expires_at=expires_at,
                    multiplier=MULTIPLIERS[coin],
                )
            )
    return options


def quote_them(info: StackInfo, *, programs: Sequence[str] = FEEDS) -> None:
    """Have the feeds begin anew: they look for new series once a minute."""
    for name in programs:
        try:
            main_process(info, name).terminate()
        except (NotRunning, psutil.NoSuchProcess):  # then it begins anew anyway
            continue

"""Firm quotes: what an order would get at this moment, promised to one customer for a few seconds.

A promise of the price, not of being open: while its option or coin takes no opens, no quote for one is kept either. A
customer's account is locked while one is given, so nobody ever has more of them than allowed, in any burst.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection, models, transaction

from counter.limits.reached import Reached
from counter.models import FirmQuote
from counter.orders import sql as order_sql
from counter.orders.prices import OrderRefused, Price, Prices, check_fits, too_small
from counter.orders.requests import RejectCode, Rejected
from counter.orders.rows import BatchRows, OptionRow
from counter.pricing import formulas
from counter.pricing.impact import Measures
from counter.trading.status import terms
from infra.coordination.ages import AHEAD_INTERVAL, AHEAD_TOLERANCE

KEEP_AFTER_EXPIRY = timedelta(hours=1)
SWEEP_ROWS = 5000
LIVE = f"""
    SELECT count(*), coalesce(sum(amount), 0) FROM counter_firmquote
    WHERE customer_id = %(customer_id)s AND expires_at > %(now)s AND given_at <= %(now)s + {AHEAD_INTERVAL}
        AND state = 'GIVEN'
"""  # noqa: S608 - our own
# From the oldest on, so that no index but the key is needed; what a live one holds up is swept a little later.
SWEEP = """
    DELETE FROM counter_firmquote WHERE expires_at < %s AND id IN (
        SELECT id FROM counter_firmquote ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class OpenQuoteRequest:
    """What would `contracts` of `symbol` cost?"""

    customer_id: int
    symbol: str
    contracts: int


@dataclass(frozen=True, slots=True)
class CloseQuoteRequest:
    """What would `contracts` (all that remain if None) of a position bring, paid at once?

    If a `symbol` is given it has to be the position's.
    """

    customer_id: int
    position_id: int
    contracts: int | None = None
    symbol: str | None = None


QuoteRequest = OpenQuoteRequest | CloseQuoteRequest


def give(*, request: QuoteRequest, now: datetime) -> FirmQuote | Rejected:
    """A firm quote that holds for FIRM_QUOTE_SECONDS, or until its option expires or takes no opens.

    It is given at a fresh price only. What the order would cost need not be there yet. Where size is charged for, it is
    so as if the customer had used the quotes that they may still use.

    Raises: database errors.
    """
    with transaction.atomic():
        try:
            quote = _priced(request, now)
            _check_room(quote, now)
        except OrderRefused as refusal:
            return refusal.rejected
        except formulas.AmountTooLarge as error:
            return Rejected(RejectCode.AMOUNT_TOO_LARGE, str(error))
        quote.save(force_insert=True)
        return quote


def live(*, customer_id: int, now: datetime) -> models.QuerySet[FirmQuote]:
    """What a customer was given, has not used, and has not expired: those that count against FIRM_QUOTES_LIVE."""
    return FirmQuote.objects.filter(
        customer_id=customer_id,
        expires_at__gt=now,
        given_at__lte=now + AHEAD_TOLERANCE,
        state=FirmQuote.State.GIVEN,
    ).order_by("pk")


def sweep(*, now: datetime) -> int:
    """Forget quotes that expired an hour ago, SWEEP_ROWS in each statement; how many."""
    forgotten = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(SWEEP, [now - KEEP_AFTER_EXPIRY, SWEEP_ROWS])
            forgotten += cursor.rowcount
            if cursor.rowcount < SWEEP_ROWS:
                return forgotten


def _priced(request: QuoteRequest, now: datetime) -> FirmQuote:
    """The quote, with its customer's account locked."""
    rows = order_sql.read_batch(
        customer_ids=[request.customer_id],
        client_ids=[],
        symbols=[request.symbol] if isinstance(request, OpenQuoteRequest) else [],
        position_ids=[request.position_id] if isinstance(request, CloseQuoteRequest) else [],
        opened_by=[],
        quote_ids=[],
        count=0,
        reserved_at=now,
    )
    if request.customer_id not in rows.accounts:
        raise OrderRefused(RejectCode.ACCOUNT_NOT_FOUND, "this customer has no account")
    prices = Prices(terms=terms(), now=now)
    if isinstance(request, OpenQuoteRequest):
        kind = FirmQuote.Kind.OPEN
        option, contracts, price = _open(request, rows, prices)
        until = prices.opens_end_at(option)
    else:
        kind = FirmQuote.Kind.CLOSE
        option, contracts, price = _close(request, rows, prices)
        until = option.expires_at
    check_fits(price.coin, price.amount + price.fair)
    return FirmQuote(
        customer_id=request.customer_id,
        kind=kind,
        option_id=option.id,
        position_id=request.position_id if isinstance(request, CloseQuoteRequest) else None,
        contracts=contracts,
        premium=price.premium,
        index_price=price.index_price,
        coin=price.coin,
        fair=price.fair,
        spread=price.spread,
        amount=price.amount,
        given_at=now,
        expires_at=min(now + timedelta(seconds=settings.FIRM_QUOTE_SECONDS), until),
    )


def _open(request: OpenQuoteRequest, rows: BatchRows, prices: Prices) -> tuple[OptionRow, int, Price]:
    if not rows.options:
        raise OrderRefused(RejectCode.OPTION_NOT_FOUND, f"there is no option {request.symbol}")
    [option] = rows.options
    prices.admit_open(option)
    return option, request.contracts, prices.open_price(option, request.contracts, _reserved(rows, option))


def _close(request: CloseQuoteRequest, rows: BatchRows, prices: Prices) -> tuple[OptionRow, int, Price]:
    position = rows.positions.get(request.position_id)
    if position is None or position.customer_id != request.customer_id:
        raise OrderRefused(RejectCode.POSITION_NOT_FOUND, "this customer has no such position")
    [option] = rows.options
    if request.symbol not in (None, option.symbol):
        raise OrderRefused(
            RejectCode.POSITION_NOT_FOUND,
            f"the position is of {option.symbol}, not {request.symbol}",
        )
    contracts = position.remaining if request.contracts is None else request.contracts
    if not 0 < contracts <= position.remaining:
        raise too_small(position)
    prices.admit_close(option)
    prices.admit_instant(option)
    return option, contracts, prices.close_price(option, contracts, _reserved(rows, option), fresh=True)


def _reserved(rows: BatchRows, option: OptionRow) -> list[Measures]:
    """How the customer's quotes of the coin would move its book."""
    return [each.flow for each in rows.reserved if each.underlying == option.underlying]


def _check_room(quote: FirmQuote, now: datetime) -> None:
    """Refuse one quote too many, by number or by what all that are live are worth."""
    with connection.cursor() as cursor:
        cursor.execute(LIVE, {"customer_id": quote.customer_id, "now": now})
        count, amount = cursor.fetchone() or (0, Decimal(0))
    if count >= settings.FIRM_QUOTES_LIVE:
        raise OrderRefused(
            RejectCode.TOO_MANY_QUOTES,
            f"{count} firm quotes have not expired yet",
            Reached("quotes", left=0, limit=settings.FIRM_QUOTES_LIVE),
        )
    most = settings.FIRM_QUOTES_LIVE_USDT
    if amount + quote.amount > most:
        raise OrderRefused(
            RejectCode.TOO_MANY_QUOTES,
            f"firm quotes of {amount} USDT have not expired yet; with this one it would be more than "
            f"{most:f} USDT",
            Reached("quotes_notional", left=max(most - amount, Decimal(0)), limit=most),
        )

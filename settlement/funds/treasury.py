"""Treasury: opens the books, keeps each asset's trading wallet within its band, and tops it up for an order.

Guards the capital: it is booked once, before the first order, and from then on only fills and transfers move it.
"""

from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

import structlog
from django.conf import settings
from django.db import transaction

from infra.coordination.leader import exclusive_in_transaction
from ledger.decimals import calculating, product, rounded
from settlement.book.chart import CAPITAL, INVENTORY, USDT, VENUE, Chart
from settlement.book.legs import Legs
from settlement.funds import venue_account
from settlement.funds.transfers import start
from settlement.models import Conversion, DeskAccount, FundsTransfer
from settlement.venues.protocol import Venue, VenueError

log = structlog.get_logger(__name__)

AMOUNT_UNIT = Decimal("0.00000001")
# A conversion is woken as soon as its transfer is confirmed or released; this is for when nobody does.
TOP_UP_PATIENCE = timedelta(seconds=60)


def open_books(*, venue: Venue, now: datetime) -> bool:
    """Book what both wallets hold before the desk's first order, as its capital; False when that was done before.

    The books are of this venue account from then on.

    Every way to an order leads through here first, so the second one finds the books open.

    Raises: VenueError; OtherAccount for open books of another one.
    """
    if _books_are_open():
        venue_account.require(venue, now=now)
        return False
    name, account_id = venue.name, venue.account_id()
    wallets = {VENUE: venue.balances("trading"), INVENTORY: venue.balances("reserve")}
    with transaction.atomic(using="desk"):
        exclusive_in_transaction("open books", using="desk")
        if _books_are_open():
            return False
        Chart().account(CAPITAL, USDT)  # marks the books as open even when there is nothing to book
        legs = Legs(now=now)
        for account, balances in wallets.items():
            for asset, amount in sorted(balances.items()):
                legs.add("capital", asset, debit=account, credit=CAPITAL, amount=amount)
        legs.post()
        venue_account.opened(name, account_id, now=now)
    venue_account.agrees(venue)
    log.info("books opened", assets=sorted({asset for balances in wallets.values() for asset in balances}))
    return True


def _books_are_open() -> bool:
    return DeskAccount.objects.filter(code=CAPITAL).exists()


@calculating()
def rebalance(*, venue: Venue, now: datetime) -> list[FundsTransfer]:
    """Start a transfer for each asset whose trading wallet has left its band; none without a reserve wallet.

    Raises: VenueError when the balances cannot be read.
    """
    if not settings.VENUE_HAS_RESERVE:
        return []
    trading, reserve = venue.balances("trading"), venue.balances("reserve")
    started = []
    for asset, band in settings.WALLET_BANDS.items():
        holding = trading.get(asset, Decimal(0))
        if holding < band["low"]:
            amount = min(band["target"] - holding, reserve.get(asset, Decimal(0)))
            direction = FundsTransfer.Direction.TO_TRADING
        elif holding > band["high"]:
            amount, direction = holding - band["target"], FundsTransfer.Direction.TO_RESERVE
        else:
            continue
        amount = rounded(amount, AMOUNT_UNIT, ROUND_DOWN)
        if amount <= 0:
            log.error("reserve is empty", asset=asset, trading=str(holding))
            continue
        transfer = start(asset=asset, amount=amount, direction=direction, venue=venue, now=now)
        if transfer is not None:
            started.append(transfer)
    return started


@calculating()
def top_up(*, conversion: Conversion, venue: Venue, now: datetime) -> bool:
    """Ask at once for the funds that a waiting conversion lacks, due as soon as they have come; whether they have.

    When the reserve cannot cover it or the venue cannot be asked, the conversion comes back at its own due time.
    """
    assert conversion.limit_price is not None  # noqa: S101 - it was sent
    if conversion.side == Conversion.Side.BUY:
        asset, needed = USDT, product(conversion.quantity, conversion.limit_price)
    else:
        asset, needed = conversion.underlying, conversion.quantity
    try:
        transfer = _cover(asset, needed, venue, now)
    except VenueError as error:
        log.warning("funds cannot be asked for", conversion=conversion.pk, error=str(error))
        return False
    return transfer is not None and _wait_for(conversion, transfer, now)


def _cover(asset: str, needed: Decimal, venue: Venue, now: datetime) -> FundsTransfer | None:
    """The transfer that brings `needed` into the trading wallet, this one or one under way. Raises: VenueError."""
    holding = venue.balances("trading").get(asset, Decimal(0))
    reserve = venue.balances("reserve").get(asset, Decimal(0))
    if holding >= needed:
        return None  # it has come meanwhile
    if holding + reserve < needed:
        log.error(
            "reserve cannot cover an order", asset=asset, needed=str(needed - holding), reserve=str(reserve)
        )
        return None
    target = max(settings.WALLET_BANDS[asset]["target"], needed) if asset in settings.WALLET_BANDS else needed
    amount = rounded(min(target - holding, reserve), AMOUNT_UNIT, ROUND_DOWN)
    direction = FundsTransfer.Direction.TO_TRADING
    started = start(asset=asset, amount=amount, direction=direction, venue=venue, now=now)
    return started or FundsTransfer.objects.filter(asset=asset, state__in=FundsTransfer.OPEN_STATES).first()


def _wait_for(conversion: Conversion, transfer: FundsTransfer, now: datetime) -> bool:
    """Have the conversion wait for the transfer; whether that is done already."""
    with transaction.atomic(using="desk"):
        # Locked, so that it is either seen as closed here, or its end sees who waits for it.
        state = FundsTransfer.objects.select_for_update().get(pk=transfer.pk).state
        is_open = state in FundsTransfer.OPEN_STATES
        Conversion.objects.filter(
            pk=conversion.pk, state=Conversion.State.RETRY_WAIT, version=conversion.version
        ).update(waits_for_id=transfer.pk, due_at=now + TOP_UP_PATIENCE if is_open else now)
    return state == FundsTransfer.State.CONFIRMED

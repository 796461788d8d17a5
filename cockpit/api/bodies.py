"""From what the pages show to what programs are answered."""

from dataclasses import asdict

from django.urls import reverse

from cockpit import day_parquet
from cockpit.api.messages import (
    AccountBalance,
    BalancesBody,
    BookRiskBody,
    ClosedDay,
    ClosedDayBody,
    CoinRisk,
    CustomerCost,
    CustomerResult,
    DayAccount,
    DayFile,
    DayResult,
    DayTrial,
    ExpiryRisk,
    LadderRung,
    RiskMeasures,
    ScenarioGrid,
    SeriesRisk,
    SizeCharged,
    VenueLine,
    VenueSum,
    VenueTold,
    WalletBand,
)
from cockpit.balances import Balances
from cockpit.day_files import TABLES
from cockpit.models import DayClose
from cockpit.risk import BookRisk
from counter.pricing.book_risk import PRICE_MOVES, VOLATILITY_MOVES, Grid, Risk


def risk(read: BookRisk) -> BookRiskBody:
    """All of one reading of the book."""
    return BookRiskBody(
        at=read.at,
        in_all=_measures(read.in_all),
        coins=[
            CoinRisk(
                coin=coin,
                contracts=int(read.contracts(coin)),
                index=None if (index := read.index(coin)) is None else f"{index:f}",
                risk=_measures(of),
            )
            for coin, of in read.by_coin.items()
        ],
        expiries=[
            ExpiryRisk(coin, expires_at, _measures(of))
            for (coin, expires_at), of in read.book.by_expiry().items()
        ],
        series=[
            SeriesRisk(
                symbol=each.net.symbol,
                coin=each.net.underlying,
                expires_at=each.net.expires_at,
                contracts=int(each.net.contracts),
                risk=None if each.risk is None else _measures(each.risk),
            )
            for each in read.book.series
        ],
        scenarios=[_grid(None, read.grid), *(_grid(coin, grid) for coin, grid in read.grids.items())],
        size=[
            SizeCharged(each.coin, each.measure, f"{each.at:f}", f"{each.depth:f}") for each in read.charged()
        ],
    )


def balances(read: Balances) -> BalancesBody:
    """All of one reading of both books."""
    return BalancesBody(
        at=read.at,
        owed=f"{read.owed:f}",
        customer_balances=f"{read.customer_balances:f}",
        withdrawals_reserved=f"{read.reserved:f}",
        options=f"{read.options:f}",
        held=f"{read.held:f}",
        cash_at_counter=f"{read.cash_at_counter:f}",
        cash_at_desk=f"{read.desk_cash:f}",
        at_venue=f"{read.at_venue:f}",
        without_price=read.without_price,
        accounts=[AccountBalance(each.code, each.asset, f"{each.amount:f}") for each in read.desk],
        wallets=[
            WalletBand(
                asset=each.asset,
                trading=f"{each.trading:f}",
                reserve=f"{each.reserve:f}",
                low=f"{each.low:f}",
                target=f"{each.target:f}",
                high=f"{each.high:f}",
            )
            for each in read.wallets
        ],
        ladder=[
            LadderRung(each.coin, each.expires_at, int(each.contracts), f"{each.worth:f}", f"{each.payout:f}")
            for each in read.ladder
        ],
    )


def closed(row: DayClose) -> ClosedDay:
    """Who closed which day, and when."""
    return ClosedDay(
        day=row.day,
        sha256=row.statement.digest,
        made_by=row.made_by,
        made_at=row.statement.made_at,
        closed_by=row.closed_by,
        closed_at=row.closed_at,
        note=row.note,
    )


def closed_day(row: DayClose) -> ClosedDayBody:
    """All that was closed, and where its files are."""
    content = row.statement.content
    return ClosedDayBody(
        closed=closed(row),
        accounts=[DayAccount(*line) for line in content["accounts"]],
        trial=[DayTrial(*line) for line in content["trial"]],
        results=[DayResult(*line) for line in content["results"]],
        customers=[CustomerResult(*line) for line in content.get("customers", [])],
        costs=[CustomerCost(*line) for line in content.get("costs", [])],
        venue=[VenueTold(*line[:3], *map(int, line[3:])) for line in content.get("venue", [])],
        venue_sums=[VenueSum(*line) for line in content.get("venue_sums", [])],
        venue_lines=[VenueLine(*line) for line in content.get("venue_lines", [])],
        files=[
            DayFile(
                name=name,
                csv=_address(row, name, "csv"),
                parquet=_address(row, name, "parquet") if day_parquet.is_there() else None,
            )
            for name in TABLES
        ],
    )


def _address(row: DayClose, name: str, kind: str) -> str:
    return reverse("staff_day_file", args=[row.day.isoformat(), name, kind])


def _measures(of: Risk) -> RiskMeasures:
    return RiskMeasures(**{name: measure + 0.0 for name, measure in asdict(of).items()})


def _grid(coin: str | None, grid: Grid) -> ScenarioGrid:
    return ScenarioGrid(coin, list(PRICE_MOVES), list(VOLATILITY_MOVES), grid)

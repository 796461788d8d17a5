"""The page "Risk": what the exchange's option book loses and gains, by coin, expiry, series and customer."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from cockpit import charts
from cockpit.dashboard import Bar
from cockpit.numbers import age_text, decimal_text, moment_text, whole_text
from cockpit.risk import BookRisk, Charged, shared_risk
from counter.circuit_breaker import Reason
from counter.market.book import Series
from counter.pricing.book_risk import PRICE_MOVES, VOLATILITY_MOVES, Grid, Risk
from counter.trading.depths import impact_rates
from counter.trading.status import limits_of
from infra.coordination import clock

SEE_POSITIONS = "counter.view_position"
SERIES_SHOWN = 15
NAMES = ("delta", "gamma", "vega", "theta", "value")
COIN_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A row: what it is of, and each figure in USDT with the same in coin beneath it where that has a meaning."""

    name: str
    note: str
    cells: tuple[tuple[str, str], ...]
    url: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One scenario: USDT, and whether the exchange loses."""

    text: str
    level: str


@dataclass(frozen=True, slots=True)
class Scenarios:
    """One grid with its name; a row begins with the move of volatilities."""

    name: str
    prices: list[str]
    rows: list[tuple[str, list[Cell]]]


@dataclass(frozen=True, slots=True)
class Shown:
    """The page's context."""

    at: datetime
    coins: list[Line]
    expiries: list[Line]
    series: list[Line]
    customers: list[Line]
    scenarios: list[Scenarios]
    unpriced: list[str]
    series_in_all: int
    limits: list[Bar]
    charged: list[Bar]


def shown(risk: BookRisk) -> Shown:
    """Everything that the page shows of one reading."""
    by_value = sorted(
        (each for each in risk.book.series if each.risk), key=lambda each: -abs((each.risk or Risk()).value)
    )
    expiries = risk.book.by_expiry().items()
    contracts = {key: _contracts(risk, *key) for key, _ in expiries}
    return Shown(
        at=risk.at,
        coins=[
            *(
                _line(coin, of, _index_note(risk, coin), rate=_per_coin(risk, coin))
                for coin, of in risk.by_coin.items()
            ),
            _line("in all", risk.in_all, "USDT; coins do not add up in coin"),
        ],
        expiries=[
            _line(
                f"{coin} {expires_at:%d %b %Y}",
                of,
                f"{contracts[coin, expires_at]:,} contracts, {_left(risk, expires_at)}",
            )
            for (coin, expires_at), of in expiries
        ],
        series=[_series(each) for each in by_value[:SERIES_SHOWN]],
        customers=[
            Line(
                name=each.reference,
                note=f"{each.contracts:,} contracts",
                cells=(
                    (whole_text(each.delta), ""),
                    (whole_text(each.vega), ""),
                    (whole_text(each.value), ""),
                ),
                url=reverse("admin:counter_customer_change", args=[each.customer_id]),
            )
            for each in risk.customers
        ],
        scenarios=[
            _scenarios("all coins alike", risk.grid),
            *(_scenarios(coin, grid) for coin, grid in risk.grids.items()),
        ],
        unpriced=[f"{net.symbol} ({net.contracts:,})" for net in risk.book.unpriced],
        series_in_all=len(risk.book.series),
        limits=_limits(risk),
        charged=[_charged(each) for each in risk.charged()],
    )


def _charged(each: Charged) -> Bar:
    """Where a measure stands against its depth, at which an order's next USDT of it costs the whole rate."""
    rates = impact_rates()
    whole = f"{rates.vega:f} points" if each.measure == "vega" else f"{getattr(rates, each.measure):.3%}"
    name = {"premium": "premiums not yet converted"}.get(each.measure, each.measure)
    return Bar(
        name=f"{each.coin} {name}",
        value=f"{whole_text(float(each.at))} of {each.depth:,.0f} USDT",
        percent=charts.share_percent(each.at.copy_abs(), each.depth),
        note=f"the next USDT away from 0 is charged {whole} of it at the whole depth, half at half of it",
        level="normal",
    )


def _limits(risk: BookRisk) -> list[Bar]:
    """What is measured at this moment against the limits of each coin that has some."""
    bars = []
    for coin, of in risk.by_coin.items():
        limits = limits_of(coin)
        for reason, name, measure in (
            (Reason.BOOK_DELTA, "delta", abs(of.delta)),
            (Reason.BOOK_VEGA, "vega", abs(of.vega)),
        ):
            if reason in limits:
                limit = limits[reason]
                amount = Decimal(repr(measure))
                bars.append(
                    Bar(
                        name=f"{coin} {name}",
                        value=f"{whole_text(measure)} of {limit.halt_from:,.0f} USDT",
                        percent=charts.share_percent(amount, limit.halt_from),
                        note=f"long or short; wide from {limit.widen_from:,.0f}, halted from {limit.halt_from:,.0f}",
                        level=limit.state_at(amount).lower(),
                        marks=(charts.share_percent(limit.widen_from, limit.halt_from),),
                    )
                )
    return bars


def _per_coin(risk: BookRisk, coin: str) -> float:
    index = risk.index(coin)
    return float(1 / index) if index else 0.0


def _index_note(risk: BookRisk, coin: str) -> str:
    index = risk.index(coin)
    if index is None:
        return "nothing is held"
    age = (risk.at - risk.book.quoted_at[coin]).total_seconds()
    return f"{risk.contracts(coin):,} contracts; index {index:,.2f} USDT, {age_text(max(age, 0))} old"


def _contracts(risk: BookRisk, coin: str, expires_at: datetime) -> int:
    return sum(
        each.net.contracts
        for each in risk.book.series
        if (each.net.underlying, each.net.expires_at) == (coin, expires_at)
    )


def _left(risk: BookRisk, expires_at: datetime) -> str:
    return f"in {age_text((expires_at - risk.at).total_seconds())}"


def _series(each: Series) -> Line:
    of = each.risk or Risk()
    volatility = each.net.implied_volatility
    note = f"{each.net.contracts:,} contracts, IV {volatility:.1%}" if volatility else ""
    url = f"{reverse('admin:counter_option_changelist')}?q={each.net.symbol}"
    return _line(each.net.symbol, of, note, url=url)


def _line(name: str, of: Risk, note: str, *, rate: float = 0.0, url: str = "") -> Line:
    in_coin = of.times(rate)
    cells = tuple(
        (whole_text(getattr(of, part)), decimal_text(getattr(in_coin, part), COIN_DECIMALS) if rate else "")
        for part in NAMES
    )
    return Line(name, note, cells, url)


def _scenarios(name: str, grid: Grid) -> Scenarios:
    return Scenarios(
        name=name,
        prices=[_move(move) for move in PRICE_MOVES],
        rows=[
            (_move(move), [Cell(whole_text(gain), "loss" if round(gain) < 0 else "") for gain in row])
            for move, row in zip(VOLATILITY_MOVES, grid, strict=True)
        ],
    )


def _move(move: float) -> str:
    return f"{move:+.0%}".replace("-", "−").replace("+0%", "0%").replace("%", " %")


@require_safe
def risk(request: HttpRequest) -> HttpResponse:
    """The page; it asks for itself again while somebody looks."""
    if not request.user.has_perm(SEE_POSITIONS):
        raise PermissionDenied
    context: dict[str, Any] = {**admin.site.each_context(request), "title": "Risk"}
    found = shown(shared_risk.current(now=clock.of("default").now()))
    return render(request, "cockpit/risk.html", {**context, "risk": found, "moment": moment_text(found.at)})

"""The figures as the first page shows them: names for people, units, bars and lines."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from cockpit import charts
from cockpit.alerts import Alert, alerts
from cockpit.numbers import age_text, usdt_text
from cockpit.pipeline import Stage
from cockpit.snapshot import HOUR, STEPS, Coin, Result, SystemSnapshot
from settlement.models import Conversion

KINDS = {
    "counter_order": "orders at counter",
    "withdrawal": "withdrawals",
    "desk_order": "orders at the desk",
    "conversion": "conversions",
    "funds_transfer": "wallet transfers",
}
# What each state waits for, in the order of an order's way.
WAITS_FOR = {
    ("counter_order", "PENDING"): "the desk to store it",
    ("counter_order", "SYNCED"): "the desk to settle it",
    ("withdrawal", "RESERVED"): "the wallet service",
    ("desk_order", "RECEIVED"): "a conversion",
    ("desk_order", "CONVERTING"): "the venue",
    ("desk_order", "SETTLED"): "counter to hear of it",
}
# Of anything else these are shown only while there is one: mostly there is none.
ALWAYS_SHOWN = frozenset({"counter_order", "desk_order"})
SHORTEST_CHART = timedelta(minutes=5)
DRAWN = ("accepted", "reported")
STEP_MEANINGS = {
    "accepted": "by counter, final",
    "synced": "stored by the desk",
    "settled": "converted and booked",
    "reported": "back at counter",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One large number with its unit."""

    name: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A filled bar with marks, in percent of its length; `level` is normal, wide or halted."""

    name: str
    value: str
    percent: float
    note: str
    level: str
    marks: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: cells as text, and where it leads."""

    cells: tuple[str, ...]
    url: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """The page's context."""

    at: datetime
    alerts: list[tuple[Alert, str]]
    rates: list[Tile]
    chart: charts.Lines
    chart_span: str
    counted_until: datetime | None
    latencies: list[Tile]
    stages: list[Row]
    coins: list[Bar]
    result: list[Row]
    result_since: datetime | None
    net: str
    slippage_bp: str
    budget: Bar | None
    calls: list[Row]
    processes: list[Row]
    stored_orders: str
    desk_answers: bool


def shown(figures: SystemSnapshot) -> Shown:
    """Everything that the page shows of one reading."""
    series = [(point.at, point.rates) for point in figures.series]
    span = _span(figures)
    return Shown(
        at=figures.at,
        alerts=[(alert, _extent(alert)) for alert in alerts(figures)],
        rates=_rates(figures),
        chart=charts.lines(series, names=DRAWN, end=figures.at, span=span),
        chart_span=age_text(span.total_seconds()),
        counted_until=figures.totals.as_of if figures.totals else None,
        latencies=_latencies(figures),
        stages=_stages(figures.stages),
        coins=[_coin(coin) for coin in figures.coins],
        result=_result(figures.result),
        result_since=figures.result.since if figures.result else None,
        net=usdt_text(figures.result.net) if figures.result else "–",
        slippage_bp=_slippage_bp(figures.result),
        budget=_budget(figures),
        calls=_calls(figures),
        processes=_processes(figures),
        stored_orders=f"{figures.stored_orders:,} order{'' if figures.stored_orders == 1 else 's'}",
        desk_answers=figures.desk is not None,
    )


def _extent(alert: Alert) -> str:
    """How many, how much money of how many customers, and for how long, as far as that is known."""
    parts = [f"{alert.count:,}"] if alert.count > 1 else []
    if alert.stake is not None:
        customers = f"{alert.stake.customers:,} customer{'' if alert.stake.customers == 1 else 's'}"
        least = "at least " if alert.stake.at_least else ""
        parts.append(f"{least}{usdt_text(alert.stake.usdt)} USDT of {customers}")
    if alert.oldest_seconds is not None:
        parts.append(
            "for less than 1 s" if alert.oldest_seconds < 1 else f"for {age_text(alert.oldest_seconds)}"
        )
    return ", ".join(parts)


def _span(figures: SystemSnapshot) -> timedelta:
    """How far back the chart goes: an hour, or as long as there are figures."""
    known = figures.at - figures.series[0].at if figures.series else SHORTEST_CHART
    return max(SHORTEST_CHART, min(known, HOUR))


def _rates(figures: SystemSnapshot) -> list[Tile]:
    values = figures.rates
    return [
        Tile(step, "–" if values is None else f"{values[step]:,.0f}", STEP_MEANINGS[step]) for step in STEPS
    ]


def _latencies(figures: SystemSnapshot) -> list[Tile]:
    latency = figures.latency
    if latency is None or not latency.orders:
        return []
    return [
        Tile("half within", age_text(latency.p50), "order to settled, p50"),
        Tile("99 % within", age_text(latency.p99), "order to settled, p99"),
        Tile("half within", age_text(latency.above_p50), "above the venue's time, p50"),
        Tile("99 % within", age_text(latency.above_p99), "above the venue's time, p99"),
    ]


def _stages(stages: list[Stage]) -> list[Row]:
    rows = []
    for stage in stages:
        if stage.kind in ALWAYS_SHOWN or stage.count:
            waits = WAITS_FOR.get((stage.kind, stage.state), "")
            cells = (
                KINDS[stage.kind],
                stage.state,
                f"{stage.count:,}",
                age_text(stage.oldest_seconds),
                waits,
            )
            rows.append(Row(cells, stage.url, "halted" if stage.state == Conversion.State.MANUAL else ""))
    return rows


def _coin(coin: Coin) -> Bar:
    level = coin.state.lower() or "normal"
    rate = "" if coin.spread_rate is None else f", spread {(coin.spread_rate * 100).normalize():f} %"
    reasons = f": {', '.join(coin.reasons)}" if coin.reasons else ""
    if coin.exposure is None:
        return Bar(coin.coin, "not measured", 0, f"{level}{reasons}", level)
    return Bar(
        name=coin.coin,
        value=f"{coin.exposure:,.0f} of {coin.halt_from:,.0f} USDT",
        percent=charts.share_percent(coin.exposure, coin.halt_from),
        note=f"{level}{rate}{reasons}; wide from {coin.widen_from:,.0f}",
        level=level,
        marks=(charts.share_percent(coin.widen_from, coin.halt_from),),
    )


def _result(result: Result | None) -> list[Row]:
    if result is None:
        return []
    parts = [
        ("spread", "what customers paid above the fair value", result.spread),
        ("slippage", "from the quote to the fill", result.slippage),
        ("carry", "of coin too little to be sent", result.carry),
        ("fees", "of the venue, borne by the desk", result.fees),
        ("rounding", "", result.rounding),
    ]
    return [
        Row((name, note, usdt_text(amount)), level="loss" if amount < 0 else "")
        for name, note, amount in parts
    ]


def _slippage_bp(result: Result | None) -> str:
    if result is None or result.slippage_bp is None:
        return "–"
    return f"{result.slippage_bp:f}".replace("-", "−")


def _budget(figures: SystemSnapshot) -> Bar | None:
    if figures.desk is None:
        return None
    limit, used = settings.VENUE_ORDERS_PER_10S, figures.desk.orders_in_10s
    left = max(0, limit - used)
    level = "halted" if not left else "wide" if left < limit / 4 else "normal"
    note = (
        "halted: nothing is sent"
        if figures.desk.halt and not figures.desk.halt.underlying
        else f"{left:,} left"
    )
    return Bar("orders in 10 s", f"{used:,} of {limit:,}", charts.share_percent(used, limit), note, level)


def _calls(figures: SystemSnapshot) -> list[Row]:
    return [
        Row((call.call, call.outcome, call.code or "–", f"{call.count:,}"), level="loss" if call.code else "")
        for call in figures.recent_calls
    ]


def _processes(figures: SystemSnapshot) -> list[Row]:
    rows: list[Row] = []
    for trip in figures.trips:
        took = (
            f"back in {age_text(trip.took_seconds)}" if trip.took_seconds is not None else "never came back"
        )
        rows.append(_alive(f"workers of {trip.queue}", took, trip.age_seconds, is_well=trip.ok))
    for leader in [*figures.leaders, *(figures.desk.leaders if figures.desk else [])]:
        holder = leader.holder.rsplit(" ", 1)[0]
        rows.append(
            _alive(f"leader of {leader.name}", holder, leader.silent_seconds, is_well=leader.is_alive)
        )
    for queue in figures.queues:
        age = (figures.at - queue.at).total_seconds()
        rows.append(_alive(f"queue {queue.queue}", f"{queue.messages:,} waiting", age, is_well=age < 60))
    if run := figures.audit:
        said = f"{run.broken:,} broken, {run.in_flight:,} in flight"
        rows.append(_alive("audit", said, (figures.at - run.at).total_seconds(), is_well=not run.broken))
    return rows


def _alive(name: str, said: str, age_seconds: float | None, *, is_well: bool) -> Row:
    return Row((name, said, age_text(age_seconds)), level="" if is_well else "loss")

"""The figures as Prometheus reads them. What is counted comes from the rollups, so every web process says the same."""

from collections.abc import Iterable, Iterator, Sequence

from django.conf import settings
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cockpit.alerts import CODES, alerts
from cockpit.best_execution import Sums
from cockpit.histogram import BOUNDS_SECONDS
from cockpit.models import Tally
from cockpit.risk import BookRisk
from cockpit.snapshot import STEPS, SystemSnapshot
from counter.circuit_breaker import SEVERITY, State
from counter.models.switches import ALL_COINS
from counter.trading import switches
from infra.coordination.ages import age as age_of

PREFIX = "crossbook"


class SnapshotCollector(Collector):
    """Turns one reading of the figures into metrics. Amounts are for watching: Prometheus knows floats only."""

    def __init__(
        self, figures: SystemSnapshot, risk: BookRisk | None = None, executed: Sequence[Sums] = ()
    ) -> None:
        self._figures = figures
        self._risk = risk
        self._executed = executed

    def collect(self) -> Iterator[Metric]:
        """Every metric there is; what nobody knows yet has no sample."""
        figures = self._figures
        yield _gauge("figures_seconds", "How long reading these figures took.", figures.took_seconds)
        yield _gauge("desk_up", "Whether the desk's database answered.", figures.desk is not None)
        if figures.totals:
            yield from _totals(figures.totals)
            age = age_of(figures.totals.at, now=figures.at).total_seconds()
            yield _gauge("tally_age_seconds", "Since the totals were last brought up to date.", age)
        for part in (
            _pipeline,
            _coins,
            _index,
            _venue,
            _processes,
            _streams,
            _webhooks,
            _clocks,
            _audit,
            _alerts,
        ):
            yield from part(figures)
        if self._risk is not None:
            yield from _book(self._risk)
        yield from _executions(self._executed)


def exposed(
    figures: SystemSnapshot, risk: BookRisk | None = None, executed: Sequence[Sums] = ()
) -> CollectorRegistry:
    """A registry of these figures alone; `executed` is of the last 24 hours."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(figures, risk, executed))
    return registry


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text)
    family.add_metric([], float(value))
    return family


def _gauges(
    name: str, text: str, labels: list[str], rows: Iterable[tuple[list[str], float | None]]
) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values, value in rows:
        if value is not None:
            family.add_metric(values, float(value))
    return family


def _counters(name: str, text: str, labels: list[str], rows: Iterable[tuple[list[str], float]]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, float(value))
    return family


def _totals(totals: Tally) -> Iterator[Metric]:
    yield _counters(
        "orders",
        "Orders that have come so far since the first rollup.",
        ["step"],
        [([step], getattr(totals, step)) for step in STEPS],
    )
    yield _counters("conversions", "Conversions that were booked.", [], [([], totals.conversions)])
    yield _counters("turnover_usdt", "What orders were settled at.", [], [([], float(totals.turnover))])
    yield _gauges(
        "result_usdt",
        "Result since the first rollup; gains are positive.",
        ["part"],
        [
            ([part], float(getattr(totals, part)))
            for part in ("spread", "slippage", "carry", "fees", "rounding")
        ],
    )
    yield _histogram(
        "settle_seconds",
        "From an order's acceptance to its settlement.",
        totals.settle_counts,
        totals.settle_seconds,
    )
    yield _histogram(
        "settle_above_venue_seconds",
        "The same without what the venue's calls took.",
        totals.above_venue_counts,
        totals.above_venue_seconds,
    )
    yield _counters(
        "venue_calls",
        "Calls to the venue that ended at least 15 s ago, by how they ended.",
        ["call", "outcome", "code"],
        [([call, outcome, code], count) for call, outcome, code, count in totals.calls],
    )


def _histogram(name: str, text: str, counts: list[int], seconds: float) -> Metric:
    buckets, total = [], 0
    for bound, count in zip((*map(str, BOUNDS_SECONDS), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return HistogramMetricFamily(f"{PREFIX}_{name}", text, buckets=buckets, sum_value=seconds)


def _pipeline(figures: SystemSnapshot) -> Iterator[Metric]:
    yield _gauges(
        "unfinished",
        "Rows in each unfinished state.",
        ["kind", "state"],
        [([stage.kind, stage.state], stage.count) for stage in figures.stages],
    )
    yield _gauges(
        "oldest_seconds",
        "How long the oldest row has been in its unfinished state; 0 where there is none.",
        ["kind", "state"],
        [([stage.kind, stage.state], stage.oldest_seconds or 0.0) for stage in figures.stages],
    )
    yield _gauge("orders_stored", "Orders in counter's table, estimated.", figures.stored_orders)
    yield _gauges(
        "queue_messages",
        "Messages that waited in a queue when it was last measured.",
        ["queue"],
        [([queue.queue], queue.messages) for queue in figures.queues],
    )
    yield _gauges(
        "queue_measured_age_seconds",
        "Since a queue was last measured.",
        ["queue"],
        [([queue.queue], age_of(queue.at, now=figures.at).total_seconds()) for queue in figures.queues],
    )


def _coins(figures: SystemSnapshot) -> Iterator[Metric]:
    yield _gauges(
        "exposure_usdt",
        "Premiums of a coin that are not converted yet, USDT of the net coin.",
        ["coin"],
        [([coin.coin], None if coin.exposure is None else float(coin.exposure)) for coin in figures.coins],
    )
    yield _gauges(
        "exposure_limit_usdt",
        "Premiums not yet converted, from which a coin is widened or halted.",
        ["coin", "state"],
        [
            ([coin.coin, state], float(limit))
            for coin in figures.coins
            for state, limit in (("wide", coin.widen_from), ("halted", coin.halt_from))
        ],
    )
    yield _gauges(
        "book_limit_usdt",
        "Delta or vega of the option book from which a coin is widened or halted, where there is such a limit.",
        ["coin", "reason", "state"],
        [
            ([coin.coin, str(each.reason), state], float(limit))
            for coin in figures.coins
            for each in coin.book
            for state, limit in (("wide", each.limit.widen_from), ("halted", each.limit.halt_from))
        ],
    )
    yield _gauges(
        "coin_state",
        "How a coin is traded: 0 normal, 1 wide, 2 halted.",
        ["coin"],
        [([coin.coin], SEVERITY[State(coin.state)] if coin.state else None) for coin in figures.coins],
    )
    stops = {stop.underlying: switches.SEVERITY[stop.state] for stop in figures.stops}
    yield _gauges(
        "trading_stopped",
        "What a person has stopped: 0 nothing, 1 opens, 2 opens and closes.",
        ["coin"],
        [([coin], max(stops.get(coin, 0), stops.get(ALL_COINS, 0))) for coin in settings.COINS],
    )


def _book(risk: BookRisk) -> Iterator[Metric]:
    for name, part, text in (
        (
            "book_value_usdt",
            "value",
            "Worth of the exchange's option book at the marks: short what customers hold.",
        ),
        ("book_delta_usdt", "delta", "Delta of the exchange's option book: coin times index."),
        ("book_gamma_usdt", "gamma", "Change of that delta for 1 % of the price."),
        ("book_vega_usdt", "vega", "Of the exchange's option book for one percentage point of volatility."),
        ("book_theta_usdt", "theta", "Of the exchange's option book for one day."),
    ):
        rows = [([coin], float(getattr(of, part))) for coin, of in risk.by_coin.items()]
        yield _gauges(name, text, ["coin"], rows)
    contracts = [([coin], float(risk.contracts(coin))) for coin in risk.by_coin]
    yield _gauges("book_contracts", "Contracts that customers hold.", ["coin"], contracts)
    yield _gauge(
        "book_unpriced_series", "Series held that no figure of the book has.", len(risk.book.unpriced)
    )
    charged = [([each.coin, each.measure], each) for each in risk.charged()]
    yield _gauges(
        "size_book_usdt",
        "Where a coin's book stands by which orders are charged for their size: delta, vega or premium.",
        ["coin", "measure"],
        [(labels, float(each.at)) for labels, each in charged],
    )
    yield _gauges(
        "size_depth_usdt",
        "At how much of it the whole rate is charged.",
        ["coin", "measure"],
        [(labels, float(each.depth)) for labels, each in charged],
    )
    yield _gauge("book_seconds", "How long reading and pricing the book took.", risk.took_seconds)


def _executions(executed: Sequence[Sums]) -> Iterator[Metric]:
    yield _gauges(
        "execution_gain_bps",
        "What conversions of the last 24 hours gained against a benchmark, basis points of notional.",
        ["coin", "against"],
        [
            ([each.coin, against], None if gained.basis_points is None else float(gained.basis_points))
            for each in executed
            for against, gained in each.gains.items()
        ],
    )


def _index(figures: SystemSnapshot) -> Iterator[Metric]:
    yield _counters(
        "index_rejected",
        "Samples that the index was not made of.",
        ["source", "coin", "cause"],
        [([row.source, row.underlying, row.cause], float(row.count)) for row in figures.rejections],
    )


def _venue(figures: SystemSnapshot) -> Iterator[Metric]:
    yield _gauge("venue_orders_limit_10s", "Orders the venue allows in 10 s.", settings.VENUE_ORDERS_PER_10S)
    if figures.desk is not None:
        yield _gauge(
            "venue_orders_10s", "Orders sent to the venue in the last 10 s.", figures.desk.orders_in_10s
        )
        yield _gauge("venue_halted", "Whether the venue is halted.", figures.desk.halt is not None)
        yield _gauge("conflicts", "Orders kept aside and not resolved.", figures.desk.conflicts)


def _processes(figures: SystemSnapshot) -> Iterator[Metric]:
    yield _gauges(
        "canary_age_seconds",
        "Since a canary last came back through a queue of the workers.",
        ["queue"],
        [([trip.queue], trip.age_seconds) for trip in figures.trips],
    )
    yield _gauges(
        "canary_trip_seconds",
        "How long that canary's way took.",
        ["queue"],
        [([trip.queue], trip.took_seconds) for trip in figures.trips],
    )
    leaders = [*figures.leaders, *(figures.desk.leaders if figures.desk else [])]
    yield _gauges(
        "leader_silent_seconds",
        "Since a leader last renewed its lease.",
        ["name"],
        [([leader.name], leader.silent_seconds) for leader in leaders],
    )


def _streams(figures: SystemSnapshot) -> Iterator[Metric]:
    yield _gauge("stream_processes", "Processes that stream and have said so of late.", len(figures.streams))
    listeners = [([each.name], float(each.listeners)) for each in figures.streams]
    yield _gauges("stream_listeners", "Who listens at a process.", ["process"], listeners)
    yield _counters(
        "stream_events",
        "Events that a process has handed to its listeners.",
        ["process"],
        [([each.name], float(each.events)) for each in figures.streams],
    )
    yield _counters(
        "stream_cut_off",
        "Listeners whom a process has cut off, by why.",
        ["process", "reason"],
        [
            ([each.name, reason], float(getattr(each, reason)))
            for each in figures.streams
            for reason in ("too_slow", "revoked")
        ],
    )


def _webhooks(figures: SystemSnapshot) -> Iterator[Metric]:
    labels = ["owner", "state"]
    kinds = [
        (["exchange" if each.is_exchange else "customers", "failing" if each.is_failing else "well"], each)
        for each in figures.webhooks
    ]
    yield _gauges(
        "webhook_endpoints_waiting",
        "Webhook endpoints in use that something waits for, failing or well.",
        labels,
        [(values, float(each.endpoints)) for values, each in kinds],
    )
    yield _gauges(
        "webhook_oldest_seconds",
        "How long the oldest webhook has waited for such an endpoint; 0 where none waits.",
        labels,
        [
            (values, age_of(each.oldest_at, now=figures.at).total_seconds() if each.oldest_at else 0.0)
            for values, each in kinds
        ],
    )


def _clocks(figures: SystemSnapshot) -> Iterator[Metric]:
    yield _gauges(
        "dated_ahead",
        "Rows that a wrong clock has dated into the future.",
        ["table"],
        [([table], count) for table, count in figures.clocks.ahead.items()],
    )
    if figures.clocks.desk_ahead_seconds is not None:
        yield _gauge(
            "desk_clock_ahead_seconds",
            "How far the clock of the desk's database is ahead of counter's.",
            figures.clocks.desk_ahead_seconds,
        )


def _audit(figures: SystemSnapshot) -> Iterator[Metric]:
    run = figures.audit
    if run is None:
        return
    yield _gauge("audit_broken", "What the last audit found broken.", run.broken)
    yield _gauge("audit_in_flight", "What was in flight at the last audit.", run.in_flight)
    yield _gauge("audit_unchecked", "Invariants the last audit could not check whole.", len(run.unchecked))
    yield _gauge("audit_age_seconds", "Since the last audit.", age_of(run.at, now=figures.at).total_seconds())
    yield _gauge("audit_seconds", "How long the last audit took.", run.seconds)


def _alerts(figures: SystemSnapshot) -> Iterator[Metric]:
    """Zero where all is well, so that an alert can tell that from not knowing."""
    counts = dict.fromkeys(CODES, 0)
    for alert in alerts(figures):
        counts[alert.code] += alert.count
    yield _gauges(
        "needs_human", "What needs a human, by code.", ["code"], [([code], n) for code, n in counts.items()]
    )

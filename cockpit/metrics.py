"""The figures as Prometheus reads them. What is counted comes from the tallies, so every web process says the same."""

from collections.abc import Iterable, Iterator

from django.conf import settings
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cockpit.concerns import CODES, concerns
from cockpit.figures import STEPS, Figures
from cockpit.histogram import BOUNDS_SECONDS
from cockpit.models import Tally
from counter.containment import SEVERITY, State
from counter.models.switches import ALL_COINS
from counter.trading import trading_switches

PREFIX = "crossbook"


class FiguresCollector(Collector):
    """Turns one reading of the figures into metrics. Amounts are for watching: Prometheus knows floats only."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Every metric there is; what nobody knows yet has no sample."""
        figures = self._figures
        yield _gauge("figures_seconds", "How long reading these figures took.", figures.took_seconds)
        yield _gauge("desk_up", "Whether the desk's database answered.", figures.desk is not None)
        if figures.totals:
            yield from _totals(figures.totals)
            age = (figures.at - figures.totals.at).total_seconds()
            yield _gauge("tally_age_seconds", "Since the totals were last brought up to date.", age)
        for part in (_pipeline, _coins, _venue, _processes, _streams, _audit, _concerns):
            yield from part(figures)


def exposed(figures: Figures) -> CollectorRegistry:
    """A registry of these figures alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FiguresCollector(figures))
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
        "Orders that have come so far since the first tally.",
        ["step"],
        [([step], getattr(totals, step)) for step in STEPS],
    )
    yield _counters("conversions", "Conversions that were booked.", [], [([], totals.conversions)])
    yield _counters("turnover_usdt", "What orders were settled at.", [], [([], float(totals.turnover))])
    yield _gauges(
        "result_usdt",
        "Result since the first tally; gains are positive.",
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


def _pipeline(figures: Figures) -> Iterator[Metric]:
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
        [([queue.queue], (figures.at - queue.at).total_seconds()) for queue in figures.queues],
    )


def _coins(figures: Figures) -> Iterator[Metric]:
    yield _gauges(
        "exposure_usdt",
        "Unhedged USDT of a coin.",
        ["coin"],
        [([coin.coin], None if coin.exposure is None else float(coin.exposure)) for coin in figures.coins],
    )
    yield _gauges(
        "exposure_limit_usdt",
        "Unhedged USDT from which a coin is widened or halted.",
        ["coin", "state"],
        [
            ([coin.coin, state], float(limit))
            for coin in figures.coins
            for state, limit in (("wide", coin.widen_from), ("halted", coin.halt_from))
        ],
    )
    yield _gauges(
        "coin_state",
        "How a coin is traded: 0 normal, 1 wide, 2 halted.",
        ["coin"],
        [([coin.coin], SEVERITY[State(coin.state)] if coin.state else None) for coin in figures.coins],
    )
    stops = {stop.underlying: trading_switches.SEVERITY[stop.state] for stop in figures.stops}
    yield _gauges(
        "trading_stopped",
        "What a person has stopped: 0 nothing, 1 opens, 2 opens and closes.",
        ["coin"],
        [([coin], max(stops.get(coin, 0), stops.get(ALL_COINS, 0))) for coin in settings.COINS],
    )


def _venue(figures: Figures) -> Iterator[Metric]:
    yield _gauge("venue_orders_limit_10s", "Orders the venue allows in 10 s.", settings.VENUE_ORDERS_PER_10S)
    if figures.desk is not None:
        yield _gauge(
            "venue_orders_10s", "Orders sent to the venue in the last 10 s.", figures.desk.orders_in_10s
        )
        yield _gauge("venue_halted", "Whether the venue is halted.", figures.desk.halt is not None)
        yield _gauge("conflicts", "Orders kept aside and not resolved.", figures.desk.conflicts)


def _processes(figures: Figures) -> Iterator[Metric]:
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


def _streams(figures: Figures) -> Iterator[Metric]:
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


def _audit(figures: Figures) -> Iterator[Metric]:
    run = figures.audit
    if run is None:
        return
    yield _gauge("audit_broken", "What the last audit found broken.", run.broken)
    yield _gauge("audit_in_flight", "What was in flight at the last audit.", run.in_flight)
    yield _gauge("audit_unchecked", "Invariants the last audit could not check whole.", len(run.unchecked))
    yield _gauge("audit_age_seconds", "Since the last audit.", (figures.at - run.at).total_seconds())
    yield _gauge("audit_seconds", "How long the last audit took.", run.seconds)


def _concerns(figures: Figures) -> Iterator[Metric]:
    """Zero where all is well, so that an alert can tell that from not knowing."""
    counts = dict.fromkeys(CODES, 0)
    for concern in concerns(figures):
        counts[concern.code] += concern.count
    yield _gauges(
        "needs_human", "What needs a human, by code.", ["code"], [([code], n) for code, n in counts.items()]
    )

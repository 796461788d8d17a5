"""What the figures are to reach, in one run; to miss one is shown and is no failure of the bench."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BATCH_TIMES_TPCB = 4.0
SINGLE_TIMES_TPCB = 1.0
SINGLE_WITH_DESK_TIMES_TPCB = 0.7
END_TO_END_TIMES_PLAIN_CHAIN = 50.0
STEADY_RATE = 1_000
STEADY_P99_MS = 100.0
HIGHEST_P99_MS = 1_000.0
GROWN_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class Aim:
    """One aim, with what was measured, as text."""

    what: str
    wanted: str
    measured: str
    is_met: bool


def aims(report: dict[str, Any]) -> list[Aim]:
    """The aims that the report's scenarios allow to be judged."""
    return [*_ratios(report), *_latencies(report), *_growth(report), *_overload(report)]


def _ratios(report: dict[str, Any]) -> Iterator[Aim]:
    for name, times, other, rate in (
        ("batch", BATCH_TIMES_TPCB, "tpcb", "tps"),
        ("single", SINGLE_TIMES_TPCB, "tpcb", "tps"),
        ("single_with_desk", SINGLE_WITH_DESK_TIMES_TPCB, "tpcb", "tps"),
        ("end_to_end", END_TO_END_TIMES_PLAIN_CHAIN, "plain_chain", "orders_per_s"),
    ):
        if name in report and other in report:
            mine, theirs = report[name].get("orders_per_s"), report[other].get(rate)
            if not mine or not theirs:
                yield Aim(
                    what=f"{name} / {other}",
                    wanted=f"at least {times:g}",
                    measured="not measured",
                    is_met=False,
                )
                continue
            reached = mine / theirs
            yield Aim(
                what=f"{name} / {other}",
                wanted=f"at least {times:g}",
                measured=f"{reached:.2f}",
                is_met=reached >= times,
            )


def _latencies(report: dict[str, Any]) -> Iterator[Aim]:
    figures = report.get("end_to_end")
    if figures is None:
        return
    steady = next((run for run in figures["runs"] if run["offered_per_s"] == STEADY_RATE), None)
    if steady is not None:
        yield _below(
            "settle p99 above venue at 1,000/s", steady["settle_above_venue_ms"]["p99"], STEADY_P99_MS
        )
    yield _below("settle p99 above venue at the highest sustained rate", figures["p99_ms"], HIGHEST_P99_MS)


def _below(what: str, measured: float | None, limit: float) -> Aim:
    return Aim(
        what=what,
        wanted=f"below {limit:,.0f} ms",
        measured="none" if measured is None else f"{measured:,.1f} ms",
        is_met=measured is not None and measured < limit,
    )


def _growth(report: dict[str, Any]) -> Iterator[Aim]:
    for stage in report.get("growth", {}).get("stages", [])[1:]:
        for name in ("batch", "end_to_end"):
            share = stage[name]["of_first"]
            yield Aim(
                what=f"{name} with {stage['earlier_orders']:,} earlier orders, of the first stage",
                wanted=f"at least {GROWN_SHARE:g}",
                measured="not measured" if share is None else f"{share:.2f}",
                is_met=share is not None and share >= GROWN_SHARE,
            )


def _overload(report: dict[str, Any]) -> Iterator[Aim]:
    figures = report.get("overload")
    if figures is None or "run" not in figures:
        return
    yield Aim(
        what="lost under overload", wanted="0", measured=f"{figures['lost']}", is_met=not figures["lost"]
    )
    yield Aim(
        what="memory under overload",
        wanted="flat",
        measured="flat" if figures["memory_flat"] else f"grew by {figures['memory_grew_mib']} MiB",
        is_met=figures["memory_flat"],
    )

"""CPU time for one order, by program: steadier than wall time where others use the machine too."""

from collections.abc import Iterator, Mapping
from typing import Any

STEADY_RATE = 1_000
# Servers and desk of the stack are what an order costs; the client that sends it is told beside them.
LOAD = "load"


def per_order_ms(cpu_seconds: Mapping[str, float], orders: int) -> dict[str, float]:
    """Milliseconds for each of the `orders`, by program."""
    return {name: round(seconds * 1000 / orders, 4) for name, seconds in cpu_seconds.items()}


def summary(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """CPU milliseconds for each order at each rate, of plain_chain and of a TPC-B transaction, where measured."""
    found: dict[str, Any] = {}
    if rates := [_of_run(label, run) for label, run in _runs(report)]:
        found["rates"] = rates
    for name in ("plain_chain", "tpcb"):
        if "cpu_ms" in report.get(name, {}):
            found[name] = _with_total(report[name]["cpu_ms"])
    return found or None


def _runs(report: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if run := report.get("demo_rate", {}).get("run"):
        yield "the demo's", run
    figures = report.get("end_to_end", {})
    for run in figures.get("runs", []):
        if run["offered_per_s"] == STEADY_RATE:
            yield "steady", run
    for run in figures.get("runs", []):
        if run["sustained"] and run["offered_per_s"] == figures.get("offered_per_s"):
            yield "highest sustained", run


def _of_run(label: str, run: Mapping[str, Any]) -> dict[str, Any]:
    """Of the seconds in which orders were offered: what was used in them for each order accepted in them."""
    orders = round(run["accepted_per_s"] * run["seconds"])
    told = {"rate": label, "offered_per_s": run["offered_per_s"], "orders": orders}
    if not orders or run["fault"]:
        return told | {"ms": {}, "total_ms": None, "load_ms": None}
    return told | _with_total(per_order_ms(run["cpu_seconds"], orders))


def _with_total(ms: Mapping[str, float]) -> dict[str, Any]:
    programs = {name: each for name, each in ms.items() if name != LOAD}
    return {"ms": programs, "total_ms": round(sum(programs.values()), 4), "load_ms": ms.get(LOAD)}

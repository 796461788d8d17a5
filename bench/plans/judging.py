"""Judging plans: what reads a large table whole, or reads many rows to find few, will be slow one day."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.plans.recording import Explained

LARGE_TABLES = {
    *("counter_syncorder", "counter_transfer", "counter_position", "acceptance_acceptedorder"),
    *("settlement_allocation", "settlement_desktransfer", "settlement_conversion", "settlement_attempt"),
    *("settlement_statechange", "settlement_fill"),
}
MAX_ROWS_IN_VAIN = 10_000


@dataclass(frozen=True, slots=True)
class Node:
    """How a plan reads one table; rows over all loops, those read in vain included apart (0 in a generic plan)."""

    kind: str
    table: str
    index: str
    rows_planned: float
    rows: float
    rows_in_vain: float

    def __str__(self) -> str:
        return f"{self.kind} {self.index or self.table}"


def nodes(plan: dict[str, Any]) -> Iterator[Node]:
    """Every node that reads a table, by its own or by a bitmap's index."""
    loops = plan.get("Actual Loops", 0)
    if "Relation Name" in plan and "Scan" in plan["Node Type"]:
        in_vain = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        yield Node(
            kind=plan["Node Type"],
            table=plan["Relation Name"],
            index=plan.get("Index Name", "") or ", ".join(_bitmap_indexes(plan)),
            rows_planned=plan["Plan Rows"] * max(loops, 1),
            rows=plan.get("Actual Rows", 0) * loops,
            rows_in_vain=in_vain * loops,
        )
    for child in plan.get("Plans", []):
        yield from nodes(child)


def _bitmap_indexes(plan: dict[str, Any]) -> Iterator[str]:
    for child in plan.get("Plans", []):
        if "Index Name" in child:
            yield child["Index Name"]
        yield from _bitmap_indexes(child)


def faults(explained: Explained) -> list[str]:
    """What is wrong with a statement's plans; nothing, as it should be."""
    found = []
    for name, plan in (("with its parameters", explained.custom), ("with any parameters", explained.generic)):
        for node in nodes(plan):
            if node.table not in LARGE_TABLES:
                continue
            if node.kind == "Seq Scan":
                found.append(f"reads {node.table} whole {name}")
            if node.rows_in_vain > MAX_ROWS_IN_VAIN:
                found.append(f"reads {node.rows_in_vain:,.0f} rows of {node.table} in vain {name}")
    return found

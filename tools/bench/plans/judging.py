"""Judging plans: what reads a large table whole, or reads many rows to find few, will be slow one day."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connections

from tools.bench.plans.recording import Explained

# What grows with the orders.
GROWING_TABLES = [
    *("counter_syncorder", "counter_transfer", "counter_position", "acceptance_acceptedorder"),
    *("settlement_allocation", "settlement_desktransfer", "settlement_conversion", "settlement_attempt"),
    *("settlement_statechange", "settlement_fill", "settlement_execution", "acceptance_orderstep"),
]
LARGE_ROWS = 10_000  # of fewer, reading all is as quick as any index
MAX_ROWS_IN_VAIN = 10_000
# What PostgreSQL adds to a plan with parameters for the planning, for each table and once, before it compares the two.
PLANNING_COST = 2.5


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


def large_tables() -> dict[str, float]:
    """Rows of the GROWING_TABLES that have LARGE_ROWS and more, as their last ANALYZE counted them."""
    sql = "SELECT relname, reltuples FROM pg_class WHERE relname = ANY(%s) AND reltuples >= %s"
    found: dict[str, float] = {}
    for connection in connections.all():
        with connection.cursor() as cursor:
            cursor.execute(sql, [GROWING_TABLES, LARGE_ROWS])
            found |= dict(cursor.fetchall())
    return found


def faults(explained: Explained, large: Mapping[str, float]) -> list[str]:
    """What is wrong with a statement's plans; nothing, as it should be. `large` are the large tables with their rows.

    A generic plan counts if PostgreSQL would choose it: when it seems no dearer than planning anew each time.
    """
    found = []
    reads = [node for node in nodes(explained.custom) if node.table in large]
    for node in reads:
        if node.kind == "Seq Scan" and node.rows + node.rows_in_vain > 0.9 * large[node.table]:
            found.append(f"reads {node.table} whole")
        elif node.rows_in_vain > MAX_ROWS_IN_VAIN:
            found.append(f"reads {node.rows_in_vain:,.0f} rows of {node.table} in vain")
    if explained.generic is None:
        return found
    planning = PLANNING_COST * (len(list(nodes(explained.custom))) + 1)
    if explained.generic["Total Cost"] < explained.custom["Total Cost"] + planning:
        whole = {node.table for node in reads if node.kind == "Seq Scan"}
        found += [
            f"would read {node.table} whole once it is prepared"
            for node in nodes(explained.generic)
            if node.kind == "Seq Scan" and node.table in large and node.table not in whole
        ]
    return found

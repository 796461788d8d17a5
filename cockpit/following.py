"""What the logs of all processes say about one order."""

from collections.abc import Iterable, Mapping
from typing import Any

from infra.observability import correlation


def follow(lines: Iterable[Mapping[str, Any]], order_id: int) -> list[Mapping[str, Any]]:
    """The lines that are about one order, in order of time: those that name it, and those about its batch or its
    conversions that name no orders."""
    lines = list(lines)
    about = [line for line in lines if _names(line, order_id)]
    batches = {batch for line in about for batch in str(line.get("batch", "")).split()}
    # A report is of many conversions: which of them was the order's is told by the lines before.
    conversions = {str(line["conversion"]) for line in about if str(line.get("conversion", "")).isdigit()}
    for line in lines:
        if "orders" in line or "order_id" in line:
            continue
        if "conversion" in line:
            if str(line["conversion"]) in conversions:
                about.append(line)
        elif batches & set(str(line.get("batch", "")).split()):
            about.append(line)
    return sorted(about, key=lambda line: str(line.get("timestamp", "")))


def _names(line: Mapping[str, Any], order_id: int) -> bool:
    return correlation.covers(str(line.get("orders", "")), order_id) or str(line.get("order_id", "")) == str(
        order_id
    )

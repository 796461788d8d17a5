"""A past for both systems: millions of finished orders, written set by set, as the systems would have left them."""

from tools.bench.history.filling import fill

__all__ = ["fill"]

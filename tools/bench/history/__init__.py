"""A past for both systems: millions of finished orders, written set by set, as the systems would have left them."""

from bench.history.filling import fill

__all__ = ["fill"]

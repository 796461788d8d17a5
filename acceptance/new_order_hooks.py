"""Hooks called for new orders: the app that settles them registers, because acceptance imports nothing above itself."""

from collections.abc import Callable

Listener = Callable[[str], None]
_listeners: list[Listener] = []


def on_orders(listener: Listener) -> None:
    """Have `listener` called with the coin of orders that were stored, after their commit.

    Registered twice it is called once. It may be called less often than orders come: its own sweep finds the rest.
    """
    if listener not in _listeners:
        _listeners.append(listener)


def orders_came_in(underlying: str) -> None:
    """Call every listener."""
    for listener in _listeners:
        listener(underlying)

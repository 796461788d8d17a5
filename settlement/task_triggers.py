"""Tasks that a process of the desk triggers, at once or at a due time, so that nothing due waits for a sweep."""

from django.conf import settings

from infra.broker import wakeups
from infra.broker.dispatcher import Steps, dispatcher
from infra.coordination.leader import held_of

RESUME: Steps = [("settlement.resume", [])]
BALANCE: Steps = [("settlement.balance", [])]
# What is due later than this is left to the sweeps until it comes nearer.
LOOKS_AHEAD_SECONDS = 60.0


def resume_in(seconds: float) -> None:
    """Run the sweep in `seconds`, if this process is one that has wake-ups."""
    wakeups.call_in(seconds, RESUME)


def balance_in(seconds: float) -> None:
    """Book and report what is left in `seconds`, if this process is one that has wake-ups."""
    wakeups.call_in(seconds, BALANCE)


def converting(underlying: str, place: int = 0) -> str:
    """The lock that one of a coin's rounds holds, from before its planning until after its booking."""
    return f"convert {underlying} {place}" if place else f"convert {underlying}"


def places(underlying: str) -> list[str]:
    """The locks of the rounds of a coin that may be under way at a time, the first of them first."""
    return [converting(underlying, place) for place in range(settings.ROUNDS_IN_FLIGHT)]


def chain_of(underlying: str) -> Steps:
    """What settles a coin: convert plans, sends, stores what the venue did; balance books what is left, and reports."""
    return [("settlement.convert", [underlying]), ("settlement.balance", [])]


def settle_soon(underlying: str) -> None:
    """Enqueue convert | balance for one coin, once its orders are committed.

    Not while as many rounds of the coin are under way as may be: each looks for waiting orders again after it has freed
    its lock, so one more chain would find nothing to do.
    """
    names = places(underlying)
    if len(held_of(names, using="desk")) == len(names):
        return
    dispatcher.send(chain_of(underlying))

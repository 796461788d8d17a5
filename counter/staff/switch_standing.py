"""How a switch's coins stand: by its own switch, by the others that stop them too, and by the circuit breaker."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from counter.models import TradingSwitch
from counter.models.switches import ALL_COINS
from counter.trading.status import Trading
from counter.trading.switches import SAID, SEVERITY, State

WHOLE = "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True, slots=True)
class Stop:
    """A switch that stops something: what, since when, by whom and why."""

    pk: int
    coins: str
    said: str
    since: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is let through, in words; `stops` are the switches that stop any of it, the one that rules first.

    `held_by` is the switch of all coins where it stops more of a coin than the coin's own; `excepted` are the switches
    of coins that stop more than that of all coins.
    """

    said: str
    stops: tuple[Stop, ...]
    held_by: TradingSwitch | None
    excepted: tuple[TradingSwitch, ...] = ()


def standing_of(switch: TradingSwitch, stopped: Mapping[str, TradingSwitch]) -> Standing:
    """How a switch's coins stand; `stopped` are all switches that stop something (`switches.stopped`)."""
    own, others = State(switch.state), _others(switch, stopped)
    found = ([switch] if own is not State.RUNNING else []) + others
    if switch.underlying == ALL_COINS:
        more = [other for other in others if SEVERITY[other.state] > SEVERITY[own]]
        besides = f", except {' and '.join(other.coins for other in more)}" if more else ""
        return Standing(SAID[own] + besides, _stops(found), None, tuple(more))
    found.sort(key=lambda stop: -SEVERITY[stop.state])
    held_by = next((other for other in others if SEVERITY[other.state] > SEVERITY[own]), None)
    said = f"{SAID[State(held_by.state)]}, by the switch of all coins" if held_by else SAID[own]
    return Standing(said, _stops(found), held_by)


def stays_stopped(switch: TradingSwitch, to: State, stopped: Mapping[str, TradingSwitch]) -> tuple[str, ...]:
    """What other switches stop all the same once this one stands at `to`, with who and why, a line each."""
    return tuple(
        _stays(switch, other) for other in _others(switch, stopped) if SEVERITY[other.state] > SEVERITY[to]
    )


def breaker_text(trading: Trading | None) -> str:
    """What a coin's circuit breaker does to it, with its causes; empty where it does nothing."""
    reasons = [str(reason) for reason in trading.reasons if reason != "trading_stopped"] if trading else []
    if trading is None or not reasons:
        return ""
    causes = f"({', '.join(reasons)})"
    if "trading_stopped" in trading.reasons:
        return f"its circuit breaker restricts it too {causes}"
    halts = str(trading.state) == "HALTED"
    return f"its circuit breaker {'halts opens' if halts else 'widens prices'} {causes}"


def who_and_why(switch: TradingSwitch) -> str:
    """By whom a switch was thrown last, since when and why."""
    return f"by {switch.by}, since {switch.since:{WHOLE}}: {switch.reason}" if switch.by else "never thrown"


def coins_of(switch: TradingSwitch) -> list[str]:
    """The coins that it switches."""
    return list(settings.COINS) if switch.underlying == ALL_COINS else [switch.underlying]


def capitalised(text: str) -> str:
    """A text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def _others(switch: TradingSwitch, stopped: Mapping[str, TradingSwitch]) -> list[TradingSwitch]:
    """The other switches that stop one of its coins: that of all coins, or those of each."""
    of_all = switch.underlying == ALL_COINS
    found = [other for name, other in sorted(stopped.items()) if of_all or name == ALL_COINS]
    return [other for other in found if other.underlying != switch.underlying]


def _stops(switches: list[TradingSwitch]) -> tuple[Stop, ...]:
    return tuple(
        Stop(each.pk, each.coins, SAID[State(each.state)], each.since, each.by, each.reason)
        for each in switches
    )


def _stays(switch: TradingSwitch, other: TradingSwitch) -> str:
    coin, which = (
        (other.coins, "its own switch")
        if switch.underlying == ALL_COINS
        else (switch.coins, "the switch of all coins")
    )
    return f"{coin} stays stopped by {which}, {SAID[State(other.state)]}; {who_and_why(other)}"

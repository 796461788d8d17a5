"""What a person is told once they have thrown a kill switch: how things stand, and what they can still do."""

from dataclasses import dataclass
from datetime import datetime

from counter.models import TradingSwitch
from counter.models.switches import ALL_COINS
from counter.staff.switch_standing import (
    WHOLE,
    capitalised,
    standing_of,
    stays_stopped,
)
from counter.trading.switches import State, standing_change, stopped
from counter.trading.taking_back import taken_back_until, why_not


@dataclass(frozen=True, slots=True)
class Said:
    """A banner; a warning where things stand otherwise than one may think."""

    text: str
    is_warning: bool = False


def stop_done(switch: TradingSwitch, by: str, now: datetime) -> Said:
    """After a stop: until when the person who did it may take it back."""
    stop = standing_change(switch.underlying)
    if stop is None or why_not(stop, by=by, now=now):
        return Said(f"{_now(switch)}.")
    until = taken_back_until(stop)
    return Said(f"{_now(switch)}. You may take it back alone until {until:%H:%M:%S} UTC.")


def resumed(switch: TradingSwitch, done: str) -> Said:
    """After a switch was resumed or taken back: what is let through now, and what stays stopped by others."""
    stays = stays_stopped(switch, State(switch.state), stopped())
    lines = [done, *([] if stays and switch.underlying != ALL_COINS else [_now(switch)]), *stays]
    return Said(f"{'. '.join(lines)}.", is_warning=bool(stays))


def already(switch: TradingSwitch) -> str:
    """Where the switch was so before."""
    if switch.state == State.RUNNING:
        return f"{_now(switch)}. That was so already."
    return f"{_now(switch)}. {_stopped_by(switch)}."


def second_stop(switch: TradingSwitch, by: str) -> str:
    """What a stop of what is stopped already comes to."""
    if switch.state == State.RUNNING:
        return already(switch)
    if switch.by == by:
        return f"{_now(switch)}. You stopped it already, at {switch.since:{WHOLE}}."
    return (
        f"{_now(switch)}. {_stopped_by(switch)}. Your stop is recorded as a second one: {switch.by} cannot take the "
        "stop back alone any more, an approver resumes trading."
    )


def _stopped_by(switch: TradingSwitch) -> str:
    return f"It was stopped already by {switch.by}, at {switch.since:{WHOLE}}"


def _now(switch: TradingSwitch) -> str:
    return f"{capitalised(switch.coins)}: {standing_of(switch, stopped()).said}"

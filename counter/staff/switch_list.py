"""All kill switches at a glance, as the first page and their list show them: what is stopped, and what one can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from counter.models import TradingSwitch
from counter.staff.switch_standing import Standing, breaker_text, standing_of, who_and_why
from counter.trading.resume_requests import may_ask, waiting_requests
from counter.trading.status import trading_by_coin
from counter.trading.switches import State, make_missing, may_throw, standing_change
from counter.trading.taking_back import (
    first_to_take_back,
    may_take_back,
    taken_back_until,
    why_not,
)
from infra.coordination import clock

OPEN_PAGE = "stopped: see…"
STOPS = {State.OPENS_STOPPED: "stop opens…", State.ALL_STOPPED: "stop opens and closes…"}


@dataclass(frozen=True, slots=True)
class Link:
    """Where something is done, in the words of the line; `stops` what trades."""

    word: str
    url: str
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """One switch; `said` is who stopped it and why, of each stop that the row names.

    `links` lead to what this person may do with it, and to its page while something is stopped.
    """

    coins: str
    state: str
    is_stopped: bool
    said: tuple[str, ...]
    page: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """All switches, that of all coins first, and who asks for resuming which."""

    switches: tuple[Shown, ...]
    requests: tuple[str, ...]


def switches_for(user: Any) -> Overview:
    """As this person may see and throw them; made where missing for people who may throw one."""
    now = clock.of("default").now()
    switches = list(TradingSwitch.objects.order_by("underlying"))
    if len(switches) <= len(settings.COINS) and may_throw(user, TradingSwitch(), to=State.ALL_STOPPED):
        make_missing(now=now)
        switches = list(TradingSwitch.objects.order_by("underlying"))
    stopped = {switch.underlying: switch for switch in switches if switch.state != State.RUNNING}
    trading = trading_by_coin(now=now)
    asked = waiting_requests(stopped)
    return Overview(
        tuple(
            _shown(switch, user, stopped, breaker_text(trading.get(switch.underlying)), now)
            for switch in switches
        ),
        tuple(
            f"{each.by} asks to resume {stopped[name].coins}: {each.reason}"
            for name in sorted(asked)
            for each in asked[name]
        ),
    )


def _shown(
    switch: TradingSwitch, user: Any, stopped: Mapping[str, TradingSwitch], breaker: str, now: datetime
) -> Shown:
    page, standing = _address("change", switch), standing_of(switch, stopped)
    if switch.underlying in stopped:
        links = _undo(switch, user, page, now)
    else:
        confirm = _address("confirm", switch)
        links = tuple(
            Link(word, f"{confirm}?state={to}", stops=True)
            for to, word in STOPS.items()
            if may_throw(user, switch, to=to)
        )
    return Shown(
        coins=switch.coins,
        state="; ".join(filter(None, [standing.said, breaker])),
        is_stopped=bool(standing.held_by) or switch.underlying in stopped,
        said=_said(switch, standing),
        page=page,
        links=links,
    )


def _said(switch: TradingSwitch, standing: Standing) -> tuple[str, ...]:
    """Who stopped it and why: the stop that rules, then the coin's own, or those of the coins that are excepted."""
    is_stopped = switch.state != State.RUNNING
    if standing.held_by:
        # Short, for a line of the table: where another switch stops more, its own stops nothing but opens.
        own = [f"its own stop of opens: {who_and_why(switch)}"] if is_stopped else []
        return (who_and_why(standing.held_by), *own)
    excepted = "; ".join(f"{other.coins}: {who_and_why(other)}" for other in standing.excepted)
    return (
        *([who_and_why(switch)] if is_stopped or not excepted else []),
        *([excepted] if excepted else []),
    )


def _undo(switch: TradingSwitch, user: Any, page: str, now: datetime) -> tuple[Link, ...]:
    """The way back, named after the state; who may resume trading has a shorter one beside it."""
    links = [Link("stopped: undo…" if may_ask(user) else OPEN_PAGE, page)]
    stop, name = standing_change(switch.underlying) if may_take_back(user) else None, user.get_username()
    if stop is not None and not why_not(stop, by=name, now=now):
        links = [Link(f"stopped: take back… (until {taken_back_until(stop):%H:%M:%S} UTC)", page)]
    elif stop is not None and (first := first_to_take_back(stop, by=name, now=now)):
        url = _address("change", TradingSwitch.objects.get(underlying=first.underlying))
        links.append(Link(f"take back {first.coins} first…", url))
    if may_throw(user, switch, to=State.RUNNING):
        links.append(Link("resume…", f"{_address('confirm', switch)}?state={State.RUNNING}"))
    return tuple(links)


def _address(name: str, switch: TradingSwitch) -> str:
    return reverse(f"admin:counter_tradingswitch_{name}", args=[switch.pk])

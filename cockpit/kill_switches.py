"""The kill switches as the first page shows them: what is stopped, by whom, and where it is thrown or undone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from counter.models import ResumeRequest, TradingSwitch
from counter.models.switches import ALL_COINS
from counter.staff.switch_page import duration_text
from counter.trading.resume_requests import may_ask, waiting_requests
from counter.trading.switches import SAID, SEVERITY, State, make_missing, may_throw
from counter.trading.taking_back import (
    may_take_back,
    standing_change,
    taken_back_until,
    why_not,
)
from infra.coordination import clock

OPEN_PAGE = "stopped: see…"


@dataclass(frozen=True, slots=True)
class Link:
    """Where something is done, in the words of the line."""

    word: str
    url: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One switch; `links` lead to what this person may do with it, and to its page while something is stopped."""

    coins: str
    state: str
    is_stopped: bool
    said: str
    requests: tuple[str, ...]
    page: str
    links: tuple[Link, ...]


def switches_for(user: Any) -> list[Shown]:
    """All switches, those of all coins first; made where missing for people who may throw one."""
    now = clock.of("default").now()
    switches = list(TradingSwitch.objects.order_by("underlying"))
    if len(switches) <= len(settings.COINS) and may_throw(user, TradingSwitch(), to=State.ALL_STOPPED):
        make_missing(now=now)
        switches = list(TradingSwitch.objects.order_by("underlying"))
    stopped = [switch.underlying for switch in switches if switch.state != State.RUNNING]
    requests = waiting_requests(stopped)
    of_all = next((State(each.state) for each in switches if each.underlying == ALL_COINS), State.RUNNING)
    return [_shown(switch, user, of_all, requests, now) for switch in switches]


def _shown(
    switch: TradingSwitch,
    user: Any,
    of_all: State,
    requests: Mapping[str, list[ResumeRequest]],
    now: datetime,
) -> Shown:
    state, page = State(switch.state), _address("change", switch)
    said = f"{switch.by}, {switch.since:%Y-%m-%d %H:%M} UTC: {switch.reason}" if switch.by else ""
    is_held = SEVERITY[of_all] > SEVERITY[state]
    if state is not State.RUNNING:
        links = _undo(switch, user, page, now)
    elif may_throw(user, switch, to=State.OPENS_STOPPED):
        links = (Link("stop…", f"{_address('confirm', switch)}?state={State.OPENS_STOPPED}"),)
    else:
        links = ()
    return Shown(
        coins=switch.coins,
        state=f"{SAID[of_all]}, by the switch of all coins" if is_held else SAID[state],
        is_stopped=is_held or state is not State.RUNNING,
        said="" if is_held and state is State.RUNNING else said,
        requests=tuple(
            f"{each.by} asks for resuming: {each.reason}" for each in requests.get(switch.underlying, ())
        ),
        page=page,
        links=links,
    )


def _undo(switch: TradingSwitch, user: Any, page: str, now: datetime) -> tuple[Link, ...]:
    """The way back, named after the state; who may let trading go on has a shorter one beside it."""
    links = [Link("stopped: undo…" if may_ask(user) else OPEN_PAGE, page)]
    stop = standing_change(switch.underlying) if may_take_back(user) else None
    if stop is not None and not why_not(stop, by=user.get_username(), now=now):
        left = duration_text(taken_back_until(stop) - now)
        links = [Link(f"stopped: take back… ({left} left)", page)]
    if may_throw(user, switch, to=State.RUNNING):
        links.append(Link("let go on…", f"{_address('confirm', switch)}?state={State.RUNNING}"))
    return tuple(links)


def _address(name: str, switch: TradingSwitch) -> str:
    return reverse(f"admin:counter_tradingswitch_{name}", args=[switch.pk])

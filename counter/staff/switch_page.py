"""What a kill switch's page says: what is stopped, what customers see, and what this person can do about it now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from counter.models import ResumeRequest, TradingSwitch, TradingSwitchChange
from counter.models.switches import ALL_COINS
from counter.staff.switch_standing import (
    WHOLE,
    Standing,
    breaker_text,
    coins_of,
    standing_of,
    stays_stopped,
)
from counter.trading.resume_requests import approvers, may_ask, waiting_requests
from counter.trading.status import Trading, trading_by_coin
from counter.trading.switches import SAID, SEVERITY, State, may_throw, standing_change, stopped
from counter.trading.taking_back import (
    first_to_take_back,
    may_take_back,
    taken_back_until,
    why_not,
)

NAMED = 6  # approvers by name; of more their number
HISTORY = 8  # throws and requests on the page; the lists have all
WORDS = {
    (State.RUNNING, State.OPENS_STOPPED): "Stop opens",
    (State.RUNNING, State.ALL_STOPPED): "Stop opens and closes",
    (State.OPENS_STOPPED, State.ALL_STOPPED): "Stop closes too",
    (State.ALL_STOPPED, State.OPENS_STOPPED): "Resume closes",
    (State.OPENS_STOPPED, State.RUNNING): "Resume trading",
    (State.ALL_STOPPED, State.RUNNING): "Resume trading",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A state that this person may bring the switch to, by a page that says first what it would do."""

    value: str
    word: str


@dataclass(frozen=True, slots=True)
class TakingBack:
    """The person's own stop, which they may take back alone until then, and what stands after that.

    `stays` says what other switches stop all the same.
    """

    stop_id: int
    until: datetime
    then: str
    stays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Throw:
    """One line of the history."""

    at: datetime
    what: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class SwitchPage:
    """All of the page. `why_not`: why they take nothing back alone; `asks_after`: the throw that they may ask about.

    `elsewhere` says where that is undone which stops its coins while this switch stops nothing.
    `stops` are the switches that stop its coins, the one that rules first; `first` is the own stop to take back before
    this one; `its_person_until` is until when the person who threw it may take it back, where that is another one.
    """

    is_stopped: bool
    standing: Standing
    elsewhere: str
    customers: tuple[str, ...]
    taking_back: TakingBack | None
    why_not: str
    first: TradingSwitch | None
    its_person_until: datetime | None
    resumes: tuple[Choice, ...]
    asks_after: int | None
    requests: tuple[ResumeRequest, ...]
    approvers: str
    stops: tuple[Choice, ...]
    history: tuple[Throw, ...]


def page_of(switch: TradingSwitch, *, user: Any, now: datetime) -> SwitchPage:
    """The page of a switch, for a person at a moment."""
    state, name, thrown = State(switch.state), user.get_username(), stopped()
    change = standing_change(switch.underlying) if state is not State.RUNNING else None
    refusal = why_not(change, by=name, now=now) if change and may_take_back(user) else ""
    may_take = change is not None and may_take_back(user) and not refusal
    choices = [(to, Choice(to.value, WORDS[state, to])) for to in State if _may(user, switch, to)]
    requests = waiting_requests([switch.underlying] if change else []).get(switch.underlying, [])
    asks = change is not None and not may_take and may_ask(user)
    standing = standing_of(switch, thrown)
    return SwitchPage(
        is_stopped=state is not State.RUNNING,
        standing=standing,
        elsewhere=_elsewhere(switch, standing) if state is State.RUNNING else "",
        customers=customers_see(switch, thrown, now=now),
        taking_back=_taking_back(switch, change, thrown) if may_take and change else None,
        why_not=refusal,
        first=_first(change, name, now) if change and refusal else None,
        its_person_until=taken_back_until(change) if change and _another_may(change, name, now) else None,
        resumes=tuple(choice for to, choice in reversed(choices) if SEVERITY[to] < SEVERITY[state]),
        asks_after=change.pk if change and asks and all(each.by != name for each in requests) else None,
        requests=tuple(requests),
        approvers=names_text(approvers(besides=name)) if change else "",
        stops=tuple(choice for to, choice in choices if SEVERITY[to] > SEVERITY[state]),
        history=_history(switch.underlying),
    )


def customers_see(
    switch: TradingSwitch, thrown: Mapping[str, TradingSwitch], *, now: datetime
) -> tuple[str, ...]:
    """What customers of its coins meet at this moment, a line for each coin, with all that stops or widens it."""
    trading = trading_by_coin(now=now)
    lines = []
    for coin in coins_of(switch):
        other = thrown.get(coin if switch.underlying == ALL_COINS else ALL_COINS)
        too = "" if switch.state == State.RUNNING else " too"
        beside = f"the switch of {other.coins} stops it{too}" if other else ""
        lines.append(_coin_line(coin, trading.get(coin), beside))
    return tuple(lines)


def names_text(names: Sequence[str]) -> str:
    """People by name, of many some and their number; empty for nobody."""
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def duration_text(duration: timedelta) -> str:
    """A time to the second: 9 min 5 s."""
    minutes, seconds = divmod(max(int(duration.total_seconds()), 0), 60)
    parts = [f"{minutes} min"] * bool(minutes) + [f"{seconds} s"] * bool(seconds or not minutes)
    return " ".join(parts)


def _coin_line(coin: str, trading: Trading | None, beside: str) -> str:
    """A coin as customers meet it; `beside` says what stops it besides the page's own switch."""
    if trading is None:
        return f"{coin}: no prices yet"
    also = breaker_text(trading)
    if not trading.takes_closes:
        line = f"{coin}: no prices; every order is refused (trading_stopped)"
    elif "trading_stopped" in trading.reasons:
        line = f"{coin}: no price to open, opening orders are refused (trading_stopped); closing goes on"
    elif str(trading.state) == "HALTED":
        line = f"{coin}: no price to open; closing goes on"
    else:
        line = f"{coin}: opens and closes{'' if also else ' as usual'}"
    return "; ".join(filter(None, [line, also, beside]))


def _elsewhere(switch: TradingSwitch, standing: Standing) -> str:
    if not standing.stops:
        return ""
    stopped_coins = " and ".join(stop.coins for stop in standing.stops)
    if switch.underlying != ALL_COINS:
        return f"What stops {switch.coins} is undone on the page of the switch of {stopped_coins}."
    pages = "pages of their switches" if len(standing.stops) > 1 else "page of its switch"
    return f"What stops {stopped_coins} is undone on the {pages}."


def _may(user: Any, switch: TradingSwitch, to: State) -> bool:
    return to != switch.state and may_throw(user, switch, to=to)


def _taking_back(
    switch: TradingSwitch, stop: TradingSwitchChange, thrown: Mapping[str, TradingSwitch]
) -> TakingBack:
    to = State(stop.from_state)
    stays = stays_stopped(switch, to, thrown)
    then = f"{SAID[to]}, as before"
    before = standing_change(stop.underlying, before=stop.pk)
    if to is not State.RUNNING and before is not None:
        then += f" (stopped by {before.by}, {before.at:{WHOLE}}: {before.reason})"
    if stays:
        then = f"this switch is as before ({SAID[to]}), but another one stops trading all the same"
    return TakingBack(stop.pk, taken_back_until(stop), then, stays)


def _first(stop: TradingSwitchChange, name: str, now: datetime) -> TradingSwitch | None:
    """The switch of the own stop that has to be taken back before this one."""
    first = first_to_take_back(stop, by=name, now=now)
    return TradingSwitch.objects.filter(underlying=first.underlying).first() if first else None


def _another_may(stop: TradingSwitchChange, name: str, now: datetime) -> bool:
    """Whether the person who stopped it is another one than is looking, and may take it back."""
    return stop.by != name and not why_not(stop, by=stop.by, now=now)


def _history(underlying: str) -> tuple[Throw, ...]:
    """The newest throws and requests, the newest first."""
    throws = TradingSwitchChange.objects.filter(underlying=underlying).order_by("-pk")[:HISTORY]
    asked = ResumeRequest.objects.filter(change__underlying=underlying).order_by("-pk")[:HISTORY]
    lines = [Throw(throw.at, what_of(throw), throw.by, throw.reason) for throw in throws]
    lines += [Throw(request.at, "asked to resume", request.by, request.reason) for request in asked]
    return tuple(sorted(lines, key=lambda line: line.at, reverse=True)[:HISTORY])


def what_of(change: TradingSwitchChange) -> str:
    """What a throw came to, for the history."""
    said = SAID[State(change.to_state)]
    if change.from_state == change.to_state:
        return f"stopped by a second person too: {said}"
    if change.takes_back_id:
        return f"taken back: {said}"
    return said if change.is_stop else f"resumed: {said}"

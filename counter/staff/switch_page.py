"""What a kill switch's page says: what is stopped, what customers see, and what this person can do about it now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from counter.models import ResumeRequest, TradingSwitch, TradingSwitchChange
from counter.models.switches import ALL_COINS
from counter.trading.resume_requests import approvers, may_ask, waiting_requests
from counter.trading.status import Trading, trading_by_coin
from counter.trading.switches import SAID, SEVERITY, State, may_throw
from counter.trading.taking_back import may_take_back, standing_change, taken_back_until, why_not

NAMED = 6  # approvers by name; of more their number
HISTORY = 6  # throws on the page; the list has all
WORDS = {
    (State.RUNNING, State.OPENS_STOPPED): "Stop opens",
    (State.RUNNING, State.ALL_STOPPED): "Stop opens and closes",
    (State.OPENS_STOPPED, State.ALL_STOPPED): "Stop closes too",
    (State.ALL_STOPPED, State.OPENS_STOPPED): "Let closes go on",
    (State.OPENS_STOPPED, State.RUNNING): "Let trading go on",
    (State.ALL_STOPPED, State.RUNNING): "Let trading go on",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A state that this person may bring the switch to, by a page that says first what it would do."""

    value: str
    word: str


@dataclass(frozen=True, slots=True)
class TakingBack:
    """The person's own stop, which they may take back alone until then, and what stands after that."""

    stop_id: int
    until: datetime
    left: str
    then: str


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

    `own` is how this switch stands, `said` what comes of it; `held_by` is the switch of all coins if it stops more.
    """

    is_stopped: bool
    said: str
    own: str
    held_by: TradingSwitch | None
    customers: tuple[str, ...]
    taking_back: TakingBack | None
    why_not: str
    resumes: tuple[Choice, ...]
    asks_after: int | None
    requests: tuple[ResumeRequest, ...]
    approvers: str
    stops: tuple[Choice, ...]
    history: tuple[Throw, ...]


def page_of(switch: TradingSwitch, *, user: Any, now: datetime) -> SwitchPage:
    """The page of a switch, for a person at a moment."""
    state, name = State(switch.state), user.get_username()
    change = standing_change(switch.underlying)
    is_stopped = state is not State.RUNNING
    refusal = why_not(change, by=name, now=now) if change and may_take_back(user) else ""
    may_take = is_stopped and change is not None and may_take_back(user) and not refusal
    choices = [(to, Choice(to.value, WORDS[state, to])) for to in State if _may(user, switch, to)]
    requests = waiting_requests([switch.underlying] if is_stopped else []).get(switch.underlying, [])
    asks = is_stopped and change is not None and not may_take and may_ask(user)
    asks_after = change.pk if change and asks and all(each.by != name for each in requests) else None
    of_all = TradingSwitch.objects.filter(underlying=ALL_COINS).first()
    held_by = of_all if of_all and SEVERITY[of_all.state] > SEVERITY[state] else None
    return SwitchPage(
        is_stopped=is_stopped,
        said=f"{SAID[State(held_by.state)]}, by the switch of all coins" if held_by else SAID[state],
        own=SAID[state],
        held_by=held_by,
        customers=customers_see(switch, now=now),
        taking_back=_taking_back(change, now) if may_take and change else None,
        why_not=refusal if is_stopped else "",
        resumes=tuple(choice for to, choice in reversed(choices) if SEVERITY[to] < SEVERITY[state]),
        asks_after=asks_after,
        requests=tuple(requests),
        approvers=names_text(approvers(besides=name)) if is_stopped else "",
        stops=tuple(choice for to, choice in choices if SEVERITY[to] > SEVERITY[state]),
        history=_history(switch.underlying),
    )


def customers_see(switch: TradingSwitch, *, now: datetime) -> tuple[str, ...]:
    """What customers of its coins meet at this moment, a line for each coin, with all that stops or widens it."""
    coins = list(settings.COINS) if switch.underlying == ALL_COINS else [switch.underlying]
    others = TradingSwitch.objects.exclude(pk=switch.pk).exclude(state=State.RUNNING)
    thrown = {other.underlying: other for other in others}
    trading = trading_by_coin(now=now)
    lines = []
    for coin in coins:
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
    reasons = [str(reason) for reason in trading.reasons if reason != "trading_stopped"]
    if not trading.takes_closes:
        line = f"{coin}: no prices; every order is refused (trading_stopped)"
    elif "trading_stopped" in trading.reasons:
        line = f"{coin}: no price to open, opening orders are refused (trading_stopped); closing goes on"
    elif str(trading.state) == "HALTED":
        return (
            f"{coin}: halted by its circuit breaker ({', '.join(reasons)}): no price to open; closing goes on"
        )
    elif str(trading.state) == "WIDE":
        return f"{coin}: opens and closes, at prices widened by its circuit breaker ({', '.join(reasons)})"
    else:
        return f"{coin}: opens and closes as usual"
    also = [f"its circuit breaker restricts it too ({', '.join(reasons)})"] if reasons else []
    return "; ".join(filter(None, [line, *also, beside]))


def _may(user: Any, switch: TradingSwitch, to: State) -> bool:
    return to != switch.state and may_throw(user, switch, to=to)


def _taking_back(stop: TradingSwitchChange, now: datetime) -> TakingBack:
    until, to = taken_back_until(stop), State(stop.from_state)
    then = f"{SAID[to]}, as before"
    before = standing_change(stop.underlying, before=stop.pk)
    if to is not State.RUNNING and before is not None:
        then += f" (stopped by {before.by}, {before.at:%Y-%m-%d %H:%M:%S} UTC: {before.reason})"
    return TakingBack(stop.pk, until, duration_text(until - now), then)


def _history(underlying: str) -> tuple[Throw, ...]:
    newest = TradingSwitchChange.objects.filter(underlying=underlying).order_by("-pk")[:HISTORY]
    return tuple(Throw(change.at, _what(change), change.by, change.reason) for change in newest)


def _what(change: TradingSwitchChange) -> str:
    said = SAID[State(change.to_state)]
    if change.from_state == change.to_state:
        return f"stopped by a second person too: {said}"
    return f"taken back: {said}" if change.takes_back_id else said

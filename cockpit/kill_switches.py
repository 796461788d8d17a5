"""The kill switches as the first page shows them: what is stopped, by whom, and where it is thrown."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse

from counter.models import TradingSwitch
from counter.trading.switches import State, make_missing, may_throw
from infra.coordination import clock

WORDS = {
    State.RUNNING: "runs",
    State.OPENS_STOPPED: "no opens, closing goes on",
    State.ALL_STOPPED: "stopped: no opens, no closes",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One switch; `stop` and `resume` lead to what this person may do with it, blank for what they may not."""

    coins: str
    state: str
    is_stopped: bool
    said: str
    page: str
    stop: str
    resume: str


def switches_for(user: Any) -> list[Shown]:
    """All switches, those of all coins first; made where missing for people who may throw one."""
    switches = list(TradingSwitch.objects.order_by("underlying"))
    if len(switches) <= len(settings.COINS) and may_throw(user, TradingSwitch(), to=State.ALL_STOPPED):
        make_missing(now=clock.of("default").now())
        switches = list(TradingSwitch.objects.order_by("underlying"))
    return [_shown(switch, user) for switch in switches]


def _shown(switch: TradingSwitch, user: Any) -> Shown:
    state = State(switch.state)
    said = f"{switch.by}, {switch.since:%Y-%m-%d %H:%M} UTC: {switch.reason}" if switch.by else ""
    return Shown(
        coins=switch.coins,
        state=WORDS[state],
        is_stopped=state is not State.RUNNING,
        said=said,
        page=reverse("admin:counter_tradingswitch_change", args=[switch.pk]),
        stop=_leads(switch, user, State.OPENS_STOPPED if state is State.RUNNING else State.ALL_STOPPED),
        resume=_leads(switch, user, State.RUNNING),
    )


def _leads(switch: TradingSwitch, user: Any, to: State) -> str:
    if to == switch.state or not may_throw(user, switch, to=to):
        return ""
    return f"{reverse('admin:counter_tradingswitch_confirm', args=[switch.pk])}?state={to}"

"""One request on its way through the venue, and the routes it can take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tools.paper_venue.rest.params import Params
from tools.paper_venue.state import Account, State
from tools.paper_venue.venue import Venue


class Security(Enum):
    """What a route asks of its caller."""

    NONE = "none"
    KEY = "key"
    SIGNED = "signed"


@dataclass(slots=True)
class Call:
    """A checked request as a handler sees it; ``visible`` is the state that reads are answered from,
    ``transfer_status`` what a history shows of transfers,
    ``can_trade`` what the account shows."""

    venue: Venue
    params: Params
    now_ms: int
    account_name: str = ""
    visible: State = field(default_factory=State)
    transfer_status: str = "CONFIRMED"
    can_trade: bool = True
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        return self.visible.account(self.account_name)


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """``weight`` may depend on the parameters."""

    method: str
    path: str
    handler: Handler
    weight: int | Callable[[Params], int] = 1
    security: Security = Security.SIGNED

    @property
    def is_sapi(self) -> bool:
        return self.path.startswith("/sapi/")

    def weight_of(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)

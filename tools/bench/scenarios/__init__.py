"""The scenarios by name, in the order in which they are run and shown."""

from collections.abc import Callable
from typing import Any, Protocol

from tools.bench.scenarios import (
    batch,
    demo_rate,
    desk_result,
    end_to_end,
    growth,
    hordak,
    overload,
    plain_chain,
    single,
    single_with_desk,
    streaming,
    tpcb,
)
from tools.bench.session import Session


class Repeated(Protocol):
    """A scenario that is measured in rounds, in turns with the others; MAIN names the figure that stands for it."""

    MAIN: str

    def prepare(self, session: Session) -> None: ...

    def measure(self, session: Session) -> dict[str, Any]: ...


PEERS: dict[str, Repeated] = {"tpcb": tpcb, "hordak": hordak, "plain_chain": plain_chain}
REPEATED: dict[str, Repeated] = PEERS | {
    "batch": batch,
    "single": single,
    "single_with_desk": single_with_desk,
}
ONCE: dict[str, Callable[[Session], dict[str, Any]]] = {
    "demo_rate": demo_rate.run,
    "end_to_end": end_to_end.run,
    "overload": overload.run,
    "streaming": streaming.run,
    "growth": growth.run,
    "desk_result": desk_result.run,
}
# Whose stacks are not the others'; a quick run measures them only where they are named.
WITH_OWN_STACKS = {"desk_result"}
# Figures that are taken from other scenarios' runs: asking for them asks for those.
TAKEN_FROM = {"cpu": ("tpcb", "plain_chain", "demo_rate", "end_to_end")}


def usual(*, quick: bool) -> list[str]:
    """What a run measures that names nothing."""
    return [name for name in (*REPEATED, *ONCE) if not (quick and name in WITH_OWN_STACKS)]

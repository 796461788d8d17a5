"""What an injection is: something that is broken for a while, or once, and is whole again afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Injection(Protocol):
    """One kind of damage to one target, `kind:target`. Begun and ended by one thread, never begun twice at a time."""

    @property
    def name(self) -> str:
        """`kind:target`."""

    def begin(self, seed: int) -> None:
        """Break it. Raises: anything, when it cannot be broken now; then it has to be whole."""

    def end(self) -> None:
        """Make it whole again; nothing to do for what is whole. Raises: anything, when that has to be tried again."""


@dataclass(frozen=True, slots=True)
class Blow:
    """Damage that is done in a moment, and that the system has to repair by itself."""

    name: str
    strike: Callable[[int], None]

    def begin(self, seed: int) -> None:
        """Strike."""
        self.strike(seed)

    def end(self) -> None:
        """Nothing: repairing it is the system's business."""

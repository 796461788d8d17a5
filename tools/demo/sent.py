"""What came of the demo's orders, as its customers heard it."""

from dataclasses import dataclass

from tools.load.heard import Answered, Heard

CANNOT_PAY = "insufficient_balance"


@dataclass(slots=True)
class Sent(Heard):
    """The outcomes, with those apart that were planned: customers of `paupers`, by token, are told they cannot pay."""

    paupers: frozenset[str] = frozenset()
    refused_as_planned: int = 0

    def refuse(self, client_order_id: str, code: str, *, customer: str = "") -> None:
        """Counter has said that the order is not placed."""
        Heard.refuse(self, client_order_id, code, customer=customer)
        if code == CANNOT_PAY and customer in self.paupers:
            with self._lock:
                self.refused_as_planned += 1

    @property
    def submitted(self) -> int:
        """Orders that were sent, with an outcome or without."""
        return len(self.accepted) + self.refused.total() + len(self.without_outcome)

    @property
    def repeated(self) -> int:
        """Requests without a clear answer, each of which was sent again."""
        return sum(each.answered is not Answered.YES for each in self.asked)

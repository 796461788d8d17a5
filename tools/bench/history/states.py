"""The states that a finished past went through and ended in, as the models declare them."""

from typing import Any

from django.db import models

from acceptance.models import AcceptedOrder
from counter.models import Expiry, Option, Position, SyncOrder
from infra.db.lifecycles import initial_state
from infra.db.transitions import sources_and_target
from settlement.models import Conversion


def parameters() -> dict[str, Any]:
    """Of the writing statements: what counter's rows ended in, and the desk's ways from their first state on."""
    return {
        "expiry_state": str(Expiry.State.SETTLED),
        "option_state": str(Option.State.SETTLED),
        "order_state": str(SyncOrder.State.SETTLED),
        "position_state": str(Position.State.CLOSED),
        "order_way": way(AcceptedOrder, AcceptedOrder.convert, AcceptedOrder.settle, AcceptedOrder.report),
        "conversion_way": way(Conversion, Conversion.fill, Conversion.book),
    }


def way(model: type[models.Model], *transitions: Any) -> list[str]:
    """The states of a new row and after each of the transitions. Raises: ValueError where one does not follow."""
    states = [initial_state(model)]
    for transition in transitions:
        _, sources, target = sources_and_target(model, transition)
        if states[-1] not in sources:
            raise ValueError(f"{transition.__qualname__} does not leave {states[-1]}")
        states.append(target)
    return states

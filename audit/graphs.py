"""The declared state graphs as data: the edges that django-fsm knows, no second list of them.

Invariant: an edge exists here if and only if a transition method declares it.
"""

from django.db import models

from infra.db.lifecycles import state_fields


def edges(model: type[models.Model]) -> list[tuple[str, str]]:
    """Every (from, to) that a transition of the model declares."""
    found = {
        (str(edge.source), str(edge.target))
        for field in state_fields(model)
        for edge in field.get_all_transitions(model)
    }
    return sorted(found)


def initial(model: type[models.Model]) -> str:
    """The state a new row is in."""
    return str(model().state)  # type: ignore[attr-defined]


def unfinished(model: type[models.Model]) -> set[str]:
    """States that some transition leaves."""
    return {source for source, _ in edges(model)}

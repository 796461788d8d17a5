"""The declared state graphs as data: the edges that django-fsm knows, no second list of them.

Invariant: an edge exists here if and only if a transition method declares it.
"""

from django.db import models

from config.transitions import sources_and_target


def edges(model: type[models.Model]) -> list[tuple[str, str]]:
    """Every (from, to) that a transition of the model declares."""
    found = set()
    for name in dir(model):
        transition = getattr(model, name, None)
        if hasattr(transition, "_django_fsm"):
            _, sources, target = sources_and_target(model, transition)
            found |= {(str(source), str(target)) for source in sources}
    return sorted(found)


def initial(model: type[models.Model]) -> str:
    """The state a new row is in."""
    return str(model().state)  # type: ignore[attr-defined]


def unfinished(model: type[models.Model]) -> set[str]:
    """States that some transition leaves."""
    return {source for source, _ in edges(model)}

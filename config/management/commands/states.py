"""`manage.py states`: the declared state graphs as Mermaid diagrams, as they stand in docs/states.md."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import models
from django_fsm import FSMFieldMixin

HEADING = """# States

Every lifecycle is declared once, as django-fsm transitions on the model. This page is what `python manage.py states`
prints; a test holds it to the declarations.
"""


def state_diagrams() -> str:
    """The whole page: one diagram for each model with a state field, in alphabetical order."""
    diagrams = [
        _diagram(model, field)
        for model in sorted(apps.get_models(), key=lambda model: model.__name__)
        for field in model._meta.concrete_fields
        if isinstance(field, FSMFieldMixin)
    ]
    return HEADING + "".join(diagrams)


def _diagram(model: type[models.Model], field: Any) -> str:
    lines = [f"    {line}" for line in _edges(model, field)]
    return "\n".join([f"\n## {model.__name__}\n", "```mermaid", "stateDiagram-v2", *lines, "```\n"])


def _edges(model: type[models.Model], field: Any) -> Iterator[str]:
    edges = {(str(t.source), str(t.target), t.name) for t in field.get_all_transitions(model)}
    yield f"[*] --> {field.default}"
    for source, target, name in sorted(edges):
        yield f"{source} --> {target}: {name}"
    for final in sorted({target for _, target, _ in edges} - {source for source, _, _ in edges}):
        yield f"{final} --> [*]"


class Command(BaseCommand):
    """Prints the page."""

    help = "Print the declared state graphs as Mermaid diagrams (docs/states.md)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(state_diagrams(), ending="")

"""`manage.py states`: the declared lifecycles, who ends each state and who moves each edge, as pages of docs/."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandParser
from django.db import models

from infra.db.lifecycles import movers_of, state_fields

ENDS = """# States

For operators who need to know how a state ends, and for developers. The diagrams, with the operations that move each
edge, are on two further pages: [counter's](states-counter.md), [the desk's](states-desk.md).

Every lifecycle is declared once, as django-fsm transitions on the model. A state is protected: nothing assigns it.
One row is moved by calling its transition under the row's lock; many are moved by one UPDATE that takes the
transition and reads its sources and target. The three pages are what `python manage.py states` prints (and `states
counter`, `states desk`). Tests compare the pages with the declarations, and the declarations with the calls.

Two things have no state column. A venue's halt is open until its `lifted_at` is set, once. A conflict is open until
its `resolved_at` is set, and is reopened when the same order arrives again. A state column beside that time could
only contradict it.

## The states of an order

An order has a row on each side. The API shows counter's state; the desk's is in the admin.

| what has happened | counter | desk | API |
| --- | --- | --- | --- |
| accepted and committed; the message is under way, or lost | PENDING | no row | `pending` |
| stored by the desk, not acknowledged yet | PENDING | RECEIVED | `pending` |
| acknowledged; waits for its coin's next round | SYNCED | RECEIVED | `synced` |
| part of a conversion | SYNCED | CONVERTING | `synced` |
| booked with its share; the report is under way | SYNCED | SETTLED | `synced` |
| reported; a payout at fill is credited | SETTLED | REPORTED | `settled` |

The two rows move independently: the desk may convert and settle an order before its acknowledgement is stored, and
counter then goes from PENDING to SETTLED. DISOWNED is the desk's state of an order that counter does not have.

## Who ends what

Every state has an owner, and a sweep, page or operation in the admin that ends it; a test checks the table. An entry
in italics under *by what* is a button on the row's page or an action in its list.

"""
DIAGRAMS = """# States of {side}

For developers: each lifecycle of {side}, and under each diagram the operations that move its edges. How states are
declared, and who ends each of them: [states.md](states.md). `python manage.py states {page}` prints this page.
"""
SIDES = {"counter": "counter", "desk": "the desk"}


def states_page(page: str = "ends") -> str:
    """One page of three: who `ends` each state, or the diagrams of `counter`'s models or of the `desk`'s."""
    import_operations()
    if page == "ends":
        from cockpit.state_exits import table

        return ENDS + table()
    diagrams = [
        _diagram(model, field)
        for model in sorted(apps.get_models(), key=lambda model: model.__name__)
        if (model._meta.app_label == "counter") == (page == "counter")
        for field in state_fields(model)
    ]
    return DIAGRAMS.format(side=SIDES[page], page=page) + "".join(diagrams)


def import_operations() -> None:
    """Import all that may declare, in apps with lifecycles, that it moves rows."""
    for app in sorted({model._meta.app_label for model in apps.get_models() if state_fields(model)}):
        config = apps.get_app_config(app)
        for module in walk_packages([config.path], f"{config.name}."):
            if not {"migrations", "management", "paper"} & set(module.name.split(".")):
                import_module(module.name)


def edges(model: type[models.Model], field: Any) -> list[tuple[str, str, str]]:
    """(source, target, name of the transition) of all that a model declares."""
    return sorted({(str(t.source), str(t.target), t.name) for t in field.get_all_transitions(model)})


def _diagram(model: type[models.Model], field: Any) -> str:
    lines = [f"    {line}" for line in _drawn(model, field)]
    diagram = "\n".join([f"\n## {model.__name__}\n", "```mermaid", "stateDiagram-v2", *lines, "```\n"])
    return diagram + "\n".join(["", "| edge | moved by |", "| --- | --- |", *_moved_by(model, field), ""])


def _drawn(model: type[models.Model], field: Any) -> Iterator[str]:
    declared = edges(model, field)
    yield f"[*] --> {field.default}"
    for source, target, name in declared:
        yield f"{source} --> {target}: {name}"
    for final in sorted({target for _, target, _ in declared} - {source for source, _, _ in declared}):
        yield f"{final} --> [*]"


def _moved_by(model: type[models.Model], field: Any) -> Iterator[str]:
    for source, target, name in edges(model, field):
        operations = sorted(
            f"`{operation.__module__}.{operation.__qualname__}`"
            for operation in movers_of(model, name, source)
        )
        yield f"| {source} to {target} | {', '.join(operations)} |"


class Command(BaseCommand):
    """Prints a page."""

    help = "Print who ends each state (docs/states.md), or one side's lifecycles with what moves them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("page", nargs="?", choices=["ends", *SIDES], default="ends")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(states_page(options["page"]), ending="")

"""The page of all variables of the environment, from their declarations: docs/configuration.md."""

from typing import Any

from django.core.management.base import BaseCommand

from config.environment import Subject, Variable

HEAD = """\
<!-- Generated: python manage.py configuration > docs/configuration.md -->
# Configuration

For the person who runs Crossbook on servers of their own: every variable of the environment, by subject. Nothing has
to be set for `make up` and `make demo`; beside databases of your own the four keys have to be.

- An empty value counts as none. A wrong one stops the start with one line: the variable, its value, what is allowed.
- What is marked *secret* may lie in a file, as Docker and Kubernetes mount them: `SERVICE_KEY_FILE=/run/secrets/key`
  in place of `SERVICE_KEY`. White space around the file's content is no part of it. To set both is refused, and so
  is a file that cannot be read. No message shows a secret.
"""
COLUMNS = "| variable | default | allowed | meaning |\n| --- | --- | --- | --- |"
TOOLS = """\
## The stack, and tools

Read by `make`, the stack and the tools, not by the programs that serve.

| variable | default | meaning |
| --- | --- | --- |
| `PORT` | 8000 | of the web process; a free one if it is taken |
| `FLOWER_PORT` | `PORT` + 1 | of Flower; a free one if it is taken |
| `DEMO_ORDERS`, `DEMO_CUSTOMERS`, `DEMO_SECONDS` | 1000, 20, 20 | size of the demo |
| `CHAOS_SEED`, `CHAOS_MINUTES`, `CHAOS_ORDERS_PER_S` | 1, 2, 100 | schedule, time and load of `make chaos` |
| `CHAOS_ONLY`, `CHAOS_WITHOUT` | everything, nothing | [what may be broken](chaos.md) |
| `CLUSTER_SEED`, `CLUSTER_ORDERS_PER_S` | 1, 30 | moments and load of `make cluster` |
| `PYTHON`, `TEST_WORKERS`, `ARGS` | python3, 3 (2 with `ARGS`), none | for make: Python, test workers, arguments |
| `FUZZ`, `SEED` | 20, a new one | for `make fuzz`: how many times as many examples, and which |
"""


def configuration_page() -> str:
    """The whole page, in the order of the declarations."""
    subjects = (f"## {subject.title}\n\n{COLUMNS}\n{_rows(subject)}\n" for subject in Subject.declared)
    return "\n".join((HEAD, *subjects, TOOLS))


def _rows(subject: Subject) -> str:
    return "\n".join(_cells(variable) for variable in subject.variables)


def _cells(variable: Variable) -> str:
    cells = (f"`{variable.name}`", variable.default, variable.allowed, variable.meaning)
    return f"| {' | '.join(cells)} |"


class Command(BaseCommand):
    """Prints the page."""

    help = "Print every variable of the environment with its default, bounds and meaning (docs/configuration.md)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(configuration_page(), ending="")

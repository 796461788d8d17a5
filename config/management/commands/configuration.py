"""Variables of the environment, from their declarations: docs/configuration.md and docs/configuration-trading.md."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.environment import Subject, Variable

HEAD = """\
<!-- Generated: python manage.py configuration > docs/configuration.md -->
# Configuration

For the person who runs Crossbook on servers of their own: every variable of the environment, by subject; prices, limits
and the circuit breaker stand on [a page of their own](configuration-trading.md). Nothing has to be set for `make up`
and `make demo`; beside databases of your own the four keys have to be.

- An empty value counts as none. A wrong one stops the start with one line: the variable, its value, what is allowed.
- What is marked *secret* may lie in a file, as Docker and Kubernetes mount them: `SERVICE_KEY_FILE=/run/secrets/key`
  in place of `SERVICE_KEY`. White space around the file's content is no part of it. To set both is refused, and so
  is a file that cannot be read. No message shows a secret.
"""
TRADING_HEAD = """\
<!-- Generated: python manage.py configuration trading > docs/configuration-trading.md -->
# Configuration of trading

For the person who sets prices, limits and protections. How values are given, and every other variable:
[configuration.md](configuration.md).
"""
TRADING = ("Prices", "Limits and protections", "Circuit breaker")
COLUMNS = "| variable | default | allowed | meaning |\n| --- | --- | --- | --- |"
TOOLS = """\
## The stack, and tools

Read by `make`, the stack and the tools, not by the programs that serve.

| variable | default | meaning |
| --- | --- | --- |
| `PORT` | 8000 | of the web process; a free one if it is taken |
| `STREAM_PORT` | a free one | of the stream program |
| `BIND_ADDRESS` | 127.0.0.1 | of web and stream, on a machine behind a proxy; `deploy/systemd/` reads it too |
| `STACK_WITHOUT` | nothing | programs, as `make ps` names them, that other machines run; `standbys`: all |
| `FLOWER_PORT` | `PORT` + 1 | of Flower; a free one if it is taken |
| `DEMO_ORDERS`, `DEMO_CUSTOMERS`, `DEMO_SECONDS` | 1000, 20, 20 | size of the demo |
| `CHAOS_SEED`, `CHAOS_MINUTES`, `CHAOS_ORDERS_PER_S` | 1, 2, 100 | schedule, time and load of `make chaos` |
| `CHAOS_ONLY`, `CHAOS_WITHOUT` | everything, nothing | [what may be broken](chaos.md) |
| `CLUSTER_SEED`, `CLUSTER_ROUNDS`, `CLUSTER_ORDERS_PER_S` | 1, 1, 30 | moments, rounds and load of `make cluster` |
| `PYTHON`, `TEST_WORKERS`, `ARGS` | python3, 3 (2 with `ARGS`), none | for make: Python, test workers, arguments |
| `FUZZ`, `SEED` | 20, a new one | for `make fuzz`: how many times as many examples, and which |
"""


def configuration_page() -> str:
    """The page of all subjects but those of trading, in the order of the declarations."""
    return "\n".join((HEAD, *_subjects(of_trading=False), TOOLS))


def trading_page() -> str:
    """The page of prices, limits and the circuit breaker."""
    return "\n".join((TRADING_HEAD, *_subjects(of_trading=True)))


def _subjects(*, of_trading: bool) -> Iterator[str]:
    for subject in Subject.declared:
        if (subject.title in TRADING) == of_trading:
            yield f"## {subject.title}\n\n{COLUMNS}\n{_rows(subject)}\n"


def _rows(subject: Subject) -> str:
    return "\n".join(_cells(variable) for variable in subject.variables)


def _cells(variable: Variable) -> str:
    cells = (f"`{variable.name}`", variable.default, variable.allowed, variable.meaning)
    return f"| {' | '.join(cells)} |"


class Command(BaseCommand):
    """Prints a page."""

    help = (
        "Print the variables of the environment, with defaults and bounds: those of trading, or all others."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("page", nargs="?", choices=["trading"])

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(trading_page() if options["page"] else configuration_page(), ending="")

"""The stack that is broken: started on new data, with a proxy before its broker and one before its venue."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tools.chaos import clocks
from tools.chaos.injections import Injection
from tools.chaos.lines import proxied
from tools.chaos.programs import program_injections
from tools.chaos.servers import server_injections
from tools.chaos.venue_faults import venue_injections
from tools.embedded import valkey
from tools.stack import lifecycle, programs
from tools.stack.lifecycle import StackInfo

# What belongs to the caller's own stack has no business in this one.
NOT_INHERITED = {"VAR_DIR", "PORT", "COUNTER_URL", "COUNTER_SOURCE", "STACK_NAME", "SYNC_QUEUE", "SENTRY_DSN"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A running stack, everything that can be done to it, and the venue's own address."""

    info: StackInfo
    injections: dict[str, Injection]
    venue_url: str


@contextmanager
def built(var_dir: Path, *, given: Mapping[str, str], tell: Callable[[str], object]) -> Iterator[Stage]:
    """A stack with all its data in `var_dir`, which is emptied first, until the block ends. Raises: StackFailed."""
    lifecycle.remove(var_dir=var_dir)
    var_dir.mkdir(parents=True)
    inherited = {name: value for name, value in given.items() if name not in NOT_INHERITED}
    plan = programs.plan(var_dir=var_dir, given=inherited | {"PORT": str(valkey.free_port())})
    behind = plan.environment
    with ExitStack() as stopping:
        addresses, lines = stopping.enter_context(proxied(behind))
        own_clocks, jumps = clocks.prepared(
            var_dir, [program.name for program in plan.programs], given=inherited
        )
        stopping.callback(lifecycle.stop, var_dir=var_dir)
        info = lifecycle.run(
            plan=replace(plan, environment=behind | addresses | own_clocks),
            given=inherited,
            attached=True,
            tell=tell,
        )
        _set_up_django(info.environment)
        stopping.callback(_forget_connections)
        injections = [
            *program_injections(info),
            *server_injections(info, broker_url=behind["BROKER_URL"]),
            *lines,
            *jumps,
            *venue_injections(behind["VENUE_URL"]),
        ]
        yield Stage(info, {injection.name: injection for injection in injections}, behind["VENUE_URL"])


def _set_up_django(environment: Mapping[str, str]) -> None:
    """Load the settings, which ask the environment, now that the stack's addresses are known."""
    os.environ.update(environment)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    import django

    django.setup()


def _forget_connections() -> None:
    from django.db import connections

    connections.close_all()

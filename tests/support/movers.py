"""Every call of a transition in a test comes from an operation that declares it, or from the test itself."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from django_fsm.signals import pre_transition

ROOT = Path(__file__).resolve().parents[2]
TESTS = str(ROOT / "tests")
# Between an operation and the transition: they move what they are given.
BETWEEN = tuple(
    str(ROOT / path) for path in (".venv", "config", "infra", "settlement/venues/state_history.py")
)


class UndeclaredMove(AssertionError):
    """Product code calls a transition from a state that no operation on the stack declares to move."""


def pytest_sessionstart(session: pytest.Session) -> None:
    pre_transition.connect(judge, weak=False, dispatch_uid="movers")


def judge(*, sender: Any, name: str, source: str, **signal: Any) -> None:
    """Look for the operation that calls a transition. Raises: UndeclaredMove."""
    from infra.db.lifecycles import MOVERS  # the apps are not loaded yet when this plugin is

    wanted = {
        inspect.unwrap(mover.operation).__code__
        for mover in MOVERS
        if mover.transition.__qualname__ == f"{sender.__name__}.{name}"
        and source in (mover.sources or (source,))
    }
    if not _is_called_by(wanted, sys._getframe(1)):
        raise UndeclaredMove(f"{sender.__name__}.{name} from {source}: see infra.db.lifecycles.moves")


def _is_called_by(wanted: set[CodeType], frame: FrameType) -> bool:
    by_the_test_itself = True
    for each in _callers(frame):
        filename = each.f_code.co_filename
        if each.f_code in wanted or (by_the_test_itself and filename.startswith(TESTS)):
            return True
        if filename.startswith(str(ROOT)) and not filename.startswith((*BETWEEN, TESTS)):
            by_the_test_itself = False
    return False


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back

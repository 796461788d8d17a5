"""Marks each test with what it uses: `process` starts processes, `transaction` commits for good, `property` tries many
examples. `make check` runs what is neither of the first two.

Nothing is marked by hand: the code of a test, of its fixtures and of the helpers that they name is searched.
Invariant: a test without the mark that starts a process all the same fails.
"""

import inspect
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from pytest_django.fixtures import validate_django_db

STARTERS = ("subprocess", "multiprocessing", "concurrent.futures.process", "playwright")
# Whose code is searched: that of tests, and what of ours exists to run processes.
SEARCHED = (
    "tests",
    "conftest",
    "tools.embedded",
    "tools.stack",
    "tools.demo",
    "tools.chaos",
    "tools.bench",
    "tools.cluster",
)
STARTING = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn")  # audit events


def pytest_configure() -> None:
    sys.addaudithook(_refuse)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before the selection by `-m`, and after pytest_django's marks."""
    search = _Search()
    for item in items:
        if isinstance(item, pytest.Function):
            fixtures = item._fixtureinfo.name2fixturedefs.values()
            functions = [item.function, *(one.func for defined in fixtures for one in defined)]
            if any(search.starts(function) for function in functions):
                item.add_marker(pytest.mark.process)
            if hasattr(item.function, "hypothesis"):
                item.add_marker(pytest.mark.property)
        if _commits(item):
            item.add_marker(pytest.mark.transaction)


def _commits(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    return "transactional_db" in getattr(item, "fixturenames", ()) or (
        marker is not None and validate_django_db(marker)[0]
    )


running: list[pytest.Item] = []  # the test that may start no process


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if item.get_closest_marker("process") is None:
        running.append(item)
    try:
        return (yield)
    finally:
        running.clear()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """The last test of a module or session ends what others have started."""
    running.clear()


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if running and event in STARTING:  # while the interpreter ends, neither is there any more
        raise AssertionError(
            f"{running[0].nodeid} starts a process, and tests/support/tiers.py does not see where"
        )


class _Search:
    """Whether code names something that starts processes, itself or through what it names."""

    def __init__(self) -> None:
        self._answers: dict[int, bool] = {}
        self._known: dict[int, bool] = {}
        self._held: list[Any] = []  # or an id could be given to another object

    def starts(self, found: Any) -> bool:
        """Of a function, class, instance or module, of ours or of others."""
        if id(found) not in self._answers:
            self._held.append(found)
            self._answers[id(found)] = self._find_out(found)
        return self._answers[id(found)]

    def _find_out(self, found: Any) -> bool:
        if _module(found).startswith(STARTERS):
            return True
        found = _plain(found)
        if not _module(found).startswith(SEARCHED) or isinstance(found, ModuleType):
            return False
        if id(found) not in self._known:
            self._known[id(found)] = False  # until we know: functions call each other in circles
            self._held.append(found)
            self._known[id(found)] = any(self.starts(named) for named in _named(found))
        return self._known[id(found)]


def _module(found: Any) -> str:
    if isinstance(found, ModuleType):
        return found.__name__
    return getattr(found, "__module__", None) or ""


def _plain(found: Any) -> Any:
    """The function or class behind decorators, methods and instances."""
    hypothesis = getattr(found, "hypothesis", None)
    if hypothesis is not None and hasattr(hypothesis, "inner_test"):
        return _plain(hypothesis.inner_test)
    if isinstance(found, partial):
        return _plain(found.func)
    if isinstance(found, staticmethod | classmethod):
        return _plain(found.__func__)
    if inspect.ismethod(found):
        return _plain(found.__func__)
    if callable(found) and hasattr(found, "__wrapped__"):
        return _plain(found.__wrapped__)
    if isinstance(found, FunctionType | type | ModuleType):
        return found
    return type(found)


def _named(found: FunctionType | type) -> Iterator[Any]:
    """What the code of a function, or of a class and those it is made from, names."""
    if isinstance(found, type):
        yield from found.__bases__
        for member in vars(found).values():
            if isinstance(member, property):
                yield from (part for part in (member.fget, member.fset) if part)
            elif isinstance(member, FunctionType | staticmethod | classmethod) or hasattr(
                member, "__wrapped__"
            ):
                yield member
        return
    names = set(_names(found.__code__))
    for cell in found.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    inside = (name for name in names if "." in name and (name.startswith(SEARCHED) or name in sys.modules))
    modules = [import_module(name) for name in inside]
    for name in names & set(found.__globals__):
        value = found.__globals__[name]
        yield value
        if isinstance(value, ModuleType):
            modules.append(value)
    for module in modules:
        yield module
        if module.__name__.startswith(SEARCHED):
            yield from (getattr(module, name) for name in names if hasattr(module, name))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)

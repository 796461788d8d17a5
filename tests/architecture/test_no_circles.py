"""No files import each other in a circle, and no folders of an app do."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")


@pytest.fixture(scope="module")
def imports():
    """What each file imports, as dotted names; imports inside functions count too."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}


def circle(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """Names that import each other, the first and the last the same; empty if there are none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def folded(imports: Mapping[str, Iterable[str]], depth: int) -> dict[str, set[str]]:
    """The same between folders of this depth: 1 for apps, 2 for what lies in them."""
    folders: dict[str, set[str]] = {}
    for name, imported in imports.items():
        folder = _folder(name, depth)
        folders.setdefault(folder, set()).update(_folder(each, depth) for each in imported)
        folders[folder].discard(folder)
    return folders


def _folder(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])


def test_no_files_import_each_other(imports):
    assert circle(imports) == []


@pytest.mark.parametrize("depth", [1, 2])
def test_no_folders_import_each_other(imports, depth):
    assert circle(folded(imports, depth)) == []


def test_a_circle_is_seen(imports):
    planted = {**imports, "infra.db.rows": {*imports["infra.db.rows"], "infra.db.snapshots"}}
    assert {"infra.db.rows", "infra.db.snapshots"} == set(circle(planted))
    assert set(circle(folded({**imports, "ledger.posting": {"counter.contracts"}}, 1))) == {
        "ledger",
        "counter",
    }

"""The template of the test databases is made anew when what it is made of changes."""

import ast
from pathlib import Path

from tests.support import template

OURS = {path.parent.name for path in template.ROOT.glob("*/__init__.py")} - {"tests"}


def imported(path: Path) -> set[str]:
    """Files of ours that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {f"{name.replace('.', '/')}.py" for name in names if name.split(".")[0] in OURS}
    return {file for file in files if (template.ROOT / file).exists()}


def test_what_migrations_import_is_part_of_its_hash():
    migrations = template.ROOT.glob("*/migrations/*.py")
    assert set().union(*(imported(path) for path in migrations)) <= set(template.SOURCES)


def test_what_runs_after_migrations_is_part_of_its_hash():
    listening = {
        str(path.relative_to(template.ROOT))
        for app in OURS
        for path in (template.ROOT / app).rglob("*.py")
        if "post_migrate.connect(" in path.read_text()
    }
    called = imported(template.ROOT / "config/apps.py") - {
        "config/celery.py",
        "infra/observability/logging.py",
    }
    assert listening | called <= set(template.SOURCES)

"""What reaches into a library below its public face, one module each, and the version that it was written against.

A new version fails here: read the module against it, run its tests, and name the version.
"""

from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BORROWED = {
    "infra/http_server/lasting_sockets.py": ("granian", "2.8"),
    "infra/db/pipeline.py": ("psycopg", "3.3"),
    "infra/db/lifecycles.py": ("django-fsm-2", "4.2"),
    "infra/broker/redis_transport.py": ("kombu", "5.7"),
}


@pytest.mark.parametrize("module", BORROWED)
def test_a_module_was_read_against_the_version_that_is_installed(module):
    library, known = BORROWED[module]
    assert (ROOT / module).exists()
    assert version(library).startswith(f"{known}."), f"read {module} against {library} {version(library)}"

"""The static files are looked for once in a process, not whenever a client is made: some 180 of them, 15 ms of CPU."""

from typing import Any

import pytest
from whitenoise.middleware import WhiteNoiseMiddleware

known: dict[str, Any] = {}


def pytest_sessionstart(session: pytest.Session) -> None:
    find = WhiteNoiseMiddleware.add_files_from_finders

    def find_once(middleware: WhiteNoiseMiddleware) -> None:
        if not known:
            find(middleware)
            known.update(middleware.files)
        middleware.files.update(known)

    WhiteNoiseMiddleware.add_files_from_finders = find_once

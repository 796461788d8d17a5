"""A worker's databases dumped, and the desk's put back from a dump, by what `make backup` and `make restore` call."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from settlement.restore import hold as restoring
from tests.support.databases import environment, leave
from tools.stack import backups


def back_up(folder: Path) -> Path:
    urls = backups.urls(folder, environment())
    return backups.take(urls=urls, var_dir=folder, to=folder / "backups", now=datetime.now(UTC))


def put_back(backup: Path, *, by_commands: bool = False) -> None:
    """The desk alone: counter goes on from where it is.

    It is held by this process unless `by_commands`: to start both commands of a restore takes four seconds of CPU.
    """
    leave()
    urls = backups.urls(backup, environment())
    with pytest.MonkeyPatch.context() as patched:
        if not by_commands:
            patched.setattr(backups, "_hold", hold)
        backups.restore(urls=urls, backup=backup, now=datetime.now(UTC), names=["desk"])


def hold(urls: Mapping[str, str], moment: datetime) -> None:
    """As `after_restore --hold` does; what was dumped a moment ago need not be migrated."""
    desk = connections["desk"]
    was = desk.settings_dict["NAME"]
    desk.settings_dict["NAME"] = conninfo_to_dict(urls["desk"])["dbname"]
    try:
        restoring.hold(backed_up_at=moment)
    finally:
        desk.close()
        desk.settings_dict["NAME"] = was

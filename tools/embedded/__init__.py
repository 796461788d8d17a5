"""PostgreSQL and Valkey from Python wheels: where they are, and how any process finds the running ones.

Invariant: an unset URL leads to this project's own servers under VAR_DIR, never to somebody else's on a usual
port. Free of Django and cheap to import, since every manage.py asks here before the settings load.
"""

import json
import secrets
from collections.abc import MutableMapping
from pathlib import Path

import psutil

from tools.embedded import keys, places, postgres, secret_files

__all__ = ["hand_in", "server_urls"]


def server_urls(var_dir: Path) -> dict[str, str]:
    """Environment of the stack whose data lie in `var_dir`: URLs by variable name, and the stored keys.

    The databases' socket has a fixed place, so their URLs are known even before the stack runs; BROKER_URL,
    VENUE_URL and COUNTER_URL only while it runs.
    """
    var_dir = places.absolute(var_dir)
    urls = {
        "DATABASE_URL": postgres.url(var_dir=var_dir, database="crossbook"),
        "DESK_DATABASE_URL": postgres.url(var_dir=var_dir, database="desk"),
    }
    state = running_state(var_dir)
    return {**urls, **keys.published(var_dir), **(state["environment"] if state else {})}


def hand_in(environment: MutableMapping[str, str]) -> None:
    """Give an environment what it lacks of the stack of its VAR_DIR.

    A process beside the embedded databases of which no key is stored yet gets keys of its own, which open nothing
    elsewhere; beside databases that were given it gets none, for there other processes have to share them.
    """
    found = server_urls(places.var_dir_of(environment))
    if not any(secret_files.is_given(environment, name) for name in ("DATABASE_URL", "DESK_DATABASE_URL")):
        found = {name: secrets.token_urlsafe(keys.KEY_BYTES) for name in keys.PUBLISHED} | found
    for name, value in found.items():
        if not secret_files.is_given(environment, name):
            environment[name] = value


def running_state(var_dir: Path) -> dict | None:
    """What the supervisor of `var_dir` wrote down, or None unless that very process still lives."""
    try:
        state = json.loads(places.state_file(places.absolute(var_dir)).read_text())
        # Start time as well as number: the number alone may by now belong to another process.
        process = psutil.Process(state["pid"])
        if process.create_time() == state["created"] and process.status() != psutil.STATUS_ZOMBIE:
            return state
    except (FileNotFoundError, psutil.Error):
        pass
    return None

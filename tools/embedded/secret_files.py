"""Secrets in files that `NAME_FILE` names, for the programs that hand an environment on to others.

The settings read such files by themselves. The stack hands the values on, for its servers need them too.
"""

from collections.abc import Mapping, MutableMapping
from pathlib import Path

from tools.embedded import keys

FILE = "_FILE"
SECRETS = (
    *keys.PUBLISHED,
    *("DATABASE_URL", "DESK_DATABASE_URL", "BROKER_URL", "VENUE_API_KEY", "VENUE_API_SECRET"),
    *("METRICS_TOKEN", "FLOWER_BASIC_AUTH", "SENTRY_DSN"),
)


def is_given(environment: Mapping[str, str], name: str) -> bool:
    """Whether there is a value for `name`, or a file with one."""
    return bool(environment.get(name) or environment.get(name + FILE))


def take_in(environment: MutableMapping[str, str]) -> None:
    """Put what the files hold in the place of their names. Raises: SystemExit with one line."""
    for name in SECRETS:
        file = environment.pop(name + FILE, "")
        if not file:
            continue
        if environment.get(name):
            raise SystemExit(f"not started: {name} and {name}{FILE} are both set: one of them has to go")
        try:
            environment[name] = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(f"not started: {name}{FILE}: cannot read {file}") from error

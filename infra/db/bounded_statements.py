"""How long the programs that customers speak to wait for one statement."""

from django.conf import settings
from django.db import connections

from infra.db.engine.base import SESSION


def bound_statements() -> None:
    """Have the database give back a thread that waits for it: on connections made from now on, by this server only."""
    milliseconds = int(settings.WEB_STATEMENT_SECONDS * 1000)
    for database in connections.settings.values():
        session = database["OPTIONS"].get(SESSION, {})
        database["OPTIONS"][SESSION] = {**session, "statement_timeout": f"{milliseconds}ms"}

"""How long the programs that customers speak to wait for one statement."""

from django.conf import settings
from django.db import connections


def bound_statements() -> None:
    """Have the database give back a thread that waits for it: on connections made from now on, by this server only."""
    for database in connections.settings.values():
        options = database["OPTIONS"].get("options", "")
        milliseconds = int(settings.WEB_STATEMENT_SECONDS * 1000)
        database["OPTIONS"]["options"] = f"{options} -c statement_timeout={milliseconds}"

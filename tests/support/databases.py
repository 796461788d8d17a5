"""The test databases as another program would be told of them."""

from django.db import connections
from psycopg.conninfo import make_conninfo


def environment() -> dict[str, str]:
    """The variables that name both databases of this test session."""
    return {"DATABASE_URL": _url("default"), "DESK_DATABASE_URL": _url("desk")}


def _url(alias: str) -> str:
    settings = connections[alias].settings_dict
    return make_conninfo(
        dbname=settings["NAME"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        host=settings["HOST"],
        port=settings["PORT"],
    )

"""The peers' database settings: connections are kept and statements prepared, as Crossbook's own."""

import os
from typing import Any

from psycopg.conninfo import conninfo_to_dict

DATABASE_VARIABLE, BROKER_VARIABLE = "PEER_DATABASE_URL", "PEER_BROKER_URL"
WATCHED_VARIABLE = "PEER_WATCHED"  # pids of the servers that work for it, by name, as JSON


def databases() -> dict[str, Any]:
    """Django's DATABASES from PEER_DATABASE_URL."""
    parts = conninfo_to_dict(os.environ[DATABASE_VARIABLE])
    return {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts["dbname"],
            "USER": parts["user"],
            "HOST": parts["host"],
            "PORT": parts["port"],
            "CONN_MAX_AGE": None,
            "OPTIONS": {"server_side_binding": True, "prepare_threshold": 3},
        }
    }

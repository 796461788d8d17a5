"""A connection that is known to be the primary's and to be alive, and whose commits are known to be replicated."""

from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import IsolationLevel

from infra.db.engine.asking import Host
from infra.db.engine.hosts import hosts, hosts_of
from infra.db.engine.replication import ReplicatedConnection

# Of the database's OPTIONS, ours: the rest is libpq's and Django's.
SESSION, SILENT_SECONDS = "session", "silent_seconds"


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, but for what PostgreSQL tells and Django does not ask for.

    Of its OPTIONS `session` are settings of each session, by name, and `silent_seconds` is after how much silence the
    server is asked after (0: never).
    """

    def get_connection_params(self) -> dict[str, Any]:
        """Psycopg's parameters; without those that are ours."""
        parameters = super().get_connection_params()
        parameters.pop(SESSION, None)
        parameters.pop(SILENT_SECONDS, None)
        return parameters

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection to the first host that takes it, whose cut commits and whose silence are noticed."""
        self.isolation_level = IsolationLevel.READ_COMMITTED

        def connect(host: Host) -> ReplicatedConnection:
            return ReplicatedConnection.connect(**{**conn_params, "host": host.name, "port": host.port})

        named = hosts_of(conn_params)
        if named:
            connection = hosts.connect(connect, named, database=str(conn_params.get("dbname")))
        else:
            connection = ReplicatedConnection.connect(**conn_params)
        connection.silent_seconds = self.settings_dict["OPTIONS"].get(SILENT_SECONDS, 0.0)
        return connection

    def init_connection_state(self) -> None:
        """Settings of the session: in a statement of their own, for poolers refuse `options` of a start-up message."""
        super().init_connection_state()
        session = self.settings_dict["OPTIONS"].get(SESSION)
        if session:
            asked = ", ".join(["set_config(%s, %s, false)"] * len(session))
            with self.connection.cursor() as cursor:
                cursor.execute(f"SELECT {asked}", [part for pair in session.items() for part in pair])
            if not self.get_autocommit():
                self.connection.commit()

    def is_usable(self) -> bool:
        """Whether the server answers, and lets this session write: a standby answers `SELECT 1` for ever.

        Django asks after an error and before the first use of a kept connection; it costs what its own question does.
        """
        if self.connection is None:
            return False
        try:
            if self._is_left_for_another():
                return False
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('transaction_read_only')")
                return cursor.fetchone() == ("off",)
        except psycopg.Error:
            return False

    def _is_left_for_another(self) -> bool:
        """Whether this thread need not ask: another one met the host's silence, and there are others to go to."""
        info = self.connection.info
        was_silent = hosts.was_silent(Host(info.host, info.port))
        return was_silent and len(hosts_of(self.get_connection_params())) > 1

"""A trouble of what goes on in spite of it, such as a loop while the database is away: told when it begins and ends."""

from structlog.stdlib import BoundLogger


class Trouble:
    """Tells `event` with the first error of each class, and `over` once it has passed."""

    def __init__(self, log: BoundLogger, event: str, *, over: str) -> None:
        self._log = log
        self._event, self._over = event, over
        self._told: set[type[Exception]] = set()

    def met(self, error: Exception) -> None:
        """It went wrong, perhaps again."""
        if type(error) not in self._told:
            self._told.add(type(error))
            self._log.warning(self._event, error=repr(error))

    def passed(self) -> None:
        """It went well."""
        if self._told:
            self._told.clear()
            self._log.info(self._over)

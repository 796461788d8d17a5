"""What Sentry would be sent."""

from typing import Any

import sentry_sdk
from sentry_sdk.transport import Transport


class Kept(Transport):
    """Keeps the items of every envelope, as text, in the one list of the process."""

    sent: list[str] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.sent += [item.get_bytes().decode() for item in envelope.items]

    @classmethod
    def stop(cls) -> None:
        """Send nothing more, and forget what was sent."""
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)
        cls.sent.clear()

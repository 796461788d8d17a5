"""A receiver on a thread, and settings by which this machine may be sent to."""

import threading
from collections.abc import Iterator

import pytest

from tests.support.receiving import Receiver


@pytest.fixture
def here(settings):
    """Webhooks may be sent to this machine, without TLS."""
    settings.WEBHOOK_HTTP = True
    settings.WEBHOOK_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    settings.WEBHOOK_WITHIN_SECONDS = 2.0


@pytest.fixture
def receiver(here) -> Iterator[Receiver]:
    made = Receiver()
    serving = threading.Thread(target=made.serve_forever, args=[0.02])
    serving.start()
    yield made
    made.shutdown()
    serving.join()
    made.server_close()

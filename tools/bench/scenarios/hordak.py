"""`hordak`: django-hordak posting one balanced transaction of two legs an order, as its documentation says."""

from typing import Any

from tools.bench.peers.run import Peer
from tools.bench.session import Session

MAIN = "tps"
PROCESSES = 4  # the best of 2, 4 and 8 on two cores


def prepare(session: Session) -> None:
    """Make its database."""
    Peer("hordak_project", session.servers).prepare()


def measure(session: Session) -> dict[str, Any]:
    """Transactions a second, and milliseconds of each."""
    with session.without_stack():
        peer = Peer("hordak_project", session.servers)
        return peer.measure(str(session.sizes.hordak_seconds), str(PROCESSES))

"""`plain_chain`: one order a transaction and a Celery chain for each, from the first order to the last report."""

from typing import Any

from tools.bench.peers.run import Peer
from tools.bench.session import Session

MAIN = "orders_per_s"
WORKER_PROCESSES = 4  # the best of 2, 3 and 4 on two cores


def prepare(session: Session) -> None:
    """Make its database."""
    Peer("plain_chain", session.servers).prepare()


def measure(session: Session) -> dict[str, Any]:
    """Orders reported in a second; the milliseconds are those of placing one."""
    with session.without_stack():
        peer = Peer("plain_chain", session.servers)
        return peer.measure(str(session.sizes.plain_chain_orders), str(WORKER_PROCESSES))

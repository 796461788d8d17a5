"""Which request is due when, and over which connection: everything is made ready here, before the clock starts."""

import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tools.bench.load.client import Request
from tools.bench.load.job import Job
from tools.bench.load.wire import post
from tools.load.mix import Order, OrderMix

SINGLE_PATH, BATCH_PATH = "/api/v1/orders", "/api/v1/orders/batch"
MOST_CONTRACTS = 3


def requests(job: Job) -> list[Request]:
    """All requests of a job, the customers taking turns.

    A customer's requests are sent one after the other: an order may close what one before it opens.
    """
    chance = random.Random(job.run_id)
    mix = OrderMix(symbols=job.symbols, run_id=job.run_id, chance=chance, most_contracts=MOST_CONTRACTS)
    host = urlsplit(job.url).netloc
    path = SINGLE_PATH if job.orders_each == 1 else BATCH_PATH
    made = []
    for number, due_at in enumerate(due_times(job)):
        customer = number % len(job.tokens)
        token = job.tokens[customer]
        orders = [_order(mix, token) for _ in range(job.orders_each)]
        body: Any = orders[0] if job.orders_each == 1 else {"orders": orders}
        wire = post(host=host, path=path, token=token, body=json.dumps(body, separators=(",", ":")).encode())
        made.append(Request(wire, job.orders_each, customer % job.connections, due_at))
    return made


def _order(mix: OrderMix, customer: str) -> Order:
    order = mix.order(customer)
    if order["type"] == "open":
        mix.hold(customer, order["client_order_id"], order["contracts"])
    return order


def due_times(job: Job) -> Iterator[float]:
    """Seconds after the start: evenly spread for an open loop; 0 for each request of a closed one."""
    if job.rate is None:
        yield from (0.0 for _ in range(job.prebuilt // job.orders_each))
        return
    count = int(job.seconds * job.rate) // job.orders_each
    yield from (number * job.orders_each / job.rate for number in range(count))

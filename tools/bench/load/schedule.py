"""Which request is due when, and over which connection: everything is made ready here, before the clock starts."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from bench.load.client import Request
from bench.load.job import Job
from bench.load.orders import OrderMix
from bench.load.wire import post

SINGLE_PATH, BATCH_PATH = "/api/v1/orders", "/api/v1/orders/batch"


def requests(job: Job) -> list[Request]:
    """All requests of a job, the customers taking turns."""
    mix = OrderMix(customers=len(job.tokens), symbols=job.symbols, run_id=job.run_id)
    host = urlsplit(job.url).netloc
    path = SINGLE_PATH if job.orders_each == 1 else BATCH_PATH
    made = []
    for number, due_at in enumerate(due_times(job)):
        customer = number % len(job.tokens)
        body = mix.single(customer) if job.orders_each == 1 else mix.batch(customer, job.orders_each)
        wire = post(host=host, path=path, token=job.tokens[customer], body=body.encode())
        made.append(Request(wire, job.orders_each, customer % job.connections, due_at))
    return made


def due_times(job: Job) -> Iterator[float]:
    """Seconds after the start: evenly spread for an open loop; 0 for each request of a closed one."""
    if job.rate is None:
        yield from (0.0 for _ in range(job.prebuilt // job.orders_each))
        return
    count = int(job.seconds * job.rate) // job.orders_each
    yield from (number * job.orders_each / job.rate for number in range(count))

"""`streaming`: what a thousand idle listeners cost, and whether orders are answered any later for them.

Short rounds with and without them take turns, so that what else the machine does meets both alike.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import msgspec

from bench.load import process
from bench.load.listening import Heard, Listeners
from bench.load.process import ROOT, LoadFailed
from bench.medians import medians
from bench.scenarios import end_to_end
from bench.session import Session
from bench.watch import Followed

LISTENERS = 1000
QUERY = "channels=orders,positions,balance"
RATE = 200  # orders a second, one a request
CONNECTIONS = 64
KINDS = ("no", "idle", "busy")
ROUNDS = 6
ROUND_SECONDS = 4.0
CAUGHT_UP_SECONDS = 2.0
SECONDS = 8.0  # of a measurement without orders


def run(session: Session) -> dict[str, Any]:
    """Idle and under orders, each without and with the listeners; then with prices as well."""
    bed = session.bed()
    end_to_end.warm_up(session)
    symbols = f"{QUERY},quotes&symbols={','.join(bed.symbols[:10])}"
    idle = {
        "none": _idle(session, None),
        "own changes": _idle(session, QUERY),
        "and 10 prices each": _idle(session, symbols),
    }
    half = len(bed.tokens) // 2
    listening, others = bed.tokens[half:], bed.tokens[:half]
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in KINDS}
    with _listening(session, QUERY):
        for number in range(ROUNDS):
            # Each is the first, the second and the third as often as the others.
            for name in (*KINDS[number % 3 :], *KINDS[: number % 3]):
                # A program that stands still takes what it takes when nobody listens: nothing.
                with bed.frozen({"stream"}) if name == "no" else nullcontext():
                    found = _under_orders(session, listening if name == "busy" else others)
                rounds[name].append(found)
                time.sleep(CAUGHT_UP_SECONDS)
    session.prove("streaming")
    loaded = {name: medians(found) for name, found in rounds.items()}
    session.note(
        f"streaming: orders are answered in p50 {loaded['no']['p50_ms']} ms, with {LISTENERS:,} idle listeners in "
        f"{loaded['idle']['p50_ms']} ms, with such who hear of each in {loaded['busy']['p50_ms']} ms"
    )
    return {"listeners": LISTENERS, "idle": idle, "rate": RATE, "under_orders": loaded, "rounds": rounds}


def _idle(session: Session, query: str | None) -> dict[str, Any]:
    """Shares of a core and memory, with nobody trading."""
    with _listening(session, query) as heard:
        followed = Followed(session.bed().watch)
        followed.until_end(SECONDS)
        figures = followed.figures()
    return {
        "stream_core_share": round(figures["cpu_seconds"]["stream"] / SECONDS, 3),
        "postgres_core_share": round(figures["cpu_seconds"]["postgres"] / SECONDS, 3),
        "stream_rss_mib": figures["memory_mib"]["stream"]["rss"][-1],
        "events": heard[0].events if heard else 0,
        "ended": heard[0].ended if heard else 0,
    }


def _under_orders(session: Session, tokens: list[str]) -> dict[str, Any]:
    """Orders of these customers; what is heard of them depends on whether they listen."""
    bed = session.bed()
    job = bed.job(connections=CONNECTIONS, orders_each=1, seconds=ROUND_SECONDS, rate=RATE)
    job = msgspec.structs.replace(job, tokens=tokens)
    with process.prepared(job) as load:
        followed = Followed(bed.watch)
        load.go()
        followed.until_end(ROUND_SECONDS)
        outcome = load.outcome()
        used = followed.figures()["cpu_seconds"]
    bed.drain()
    return {
        "p50_ms": outcome.p50_ms,
        "p99_ms": outcome.p99_ms,
        "accepted_per_s": outcome.orders_per_s,
        "stream_core_share": round(used["stream"] / ROUND_SECONDS, 3),
        "postgres_core_share": round(used["postgres"] / ROUND_SECONDS, 3),
    }


@contextmanager
def _listening(session: Session, query: str | None) -> Iterator[list[Heard]]:
    """The listeners, if there is something to listen to; what they heard is in the list after the block."""
    heard: list[Heard] = []
    if query is None:
        yield heard
        return
    bed = session.bed()
    asked = Listeners(
        url=bed.info.environment["STREAM_URL"],
        tokens=bed.tokens[len(bed.tokens) // 2 :],
        query=query,
        count=LISTENERS,
    )
    command = [sys.executable, "-m", "bench.load.listening"]
    listeners = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert listeners.stdin is not None
        assert listeners.stdout is not None
        listeners.stdin.write(f"{msgspec.json.encode(asked).decode()}\n")
        listeners.stdin.flush()
        if listeners.stdout.readline().strip() != "ready":
            raise LoadFailed(f"the listeners ended with {listeners.wait()}")
        yield heard
        listeners.stdin.write("stop\n")
        listeners.stdin.flush()
        heard.append(msgspec.json.decode(listeners.stdout.readline(), type=Heard))
    finally:
        listeners.kill()
        listeners.communicate()

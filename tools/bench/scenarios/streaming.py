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

from tools.bench.load import process
from tools.bench.load.listening import Heard, Listeners
from tools.bench.load.process import ROOT, LoadFailed
from tools.bench.medians import medians
from tools.bench.scenarios import end_to_end
from tools.bench.session import Session
from tools.bench.watch import Followed

QUERY = "channels=orders,positions,balance"
RATE = 200  # orders a second, one a request
CONNECTIONS = 64
KINDS = ("no", "idle", "busy")


def run(session: Session) -> dict[str, Any]:
    """Idle and under orders, each without and with the listeners; then with prices as well."""
    bed, sizes = session.bed(), session.sizes
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
        for number in range(sizes.streaming_rounds):
            # Each is the first, the second and the third as often as the others.
            for name in (*KINDS[number % 3 :], *KINDS[: number % 3]):
                session.ready("streaming")
                # A program that stands still takes what it takes when nobody listens: nothing.
                with bed.frozen({"stream"}) if name == "no" else nullcontext():
                    found = _under_orders(session, listening if name == "busy" else others)
                if not found["fault"]:
                    rounds[name].append(found)
                time.sleep(sizes.streaming_pause_seconds)
    session.prove("streaming")
    loaded = {name: medians(found) for name, found in rounds.items() if found}
    for name, found in loaded.items():
        session.note(f"streaming: orders are answered in p50 {found['p50_ms']} ms with {name} listeners")
    return {
        "listeners": sizes.listeners,
        "idle": idle,
        "rate": RATE,
        "under_orders": loaded,
        "rounds": rounds,
    }


def _idle(session: Session, query: str | None) -> dict[str, Any]:
    """Shares of a core and memory, with nobody trading."""
    seconds = session.sizes.streaming_idle_seconds
    with _listening(session, query) as heard:
        followed = Followed(session.bed().watch)
        followed.until_end(seconds)
        figures = followed.figures()
    return {
        "stream_core_share": round(figures["cpu_seconds"]["stream"] / seconds, 3),
        "postgres_core_share": round(figures["cpu_seconds"]["postgres"] / seconds, 3),
        "stream_rss_mib": figures["memory_mib"]["stream"]["rss"][-1],
        "events": heard[0].events if heard else 0,
        "ended": heard[0].ended if heard else 0,
    }


def _under_orders(session: Session, tokens: list[str]) -> dict[str, Any]:
    """Orders of these customers; what is heard of them depends on whether they listen."""
    bed, seconds = session.bed(), session.sizes.streaming_seconds
    job = bed.job(connections=CONNECTIONS, orders_each=1, seconds=seconds, rate=RATE)
    job = msgspec.structs.replace(job, tokens=tokens)
    with process.prepared(job) as load:
        followed = Followed(bed.watch)
        load.go()
        followed.until_end(seconds)
        outcome = load.outcome()
        used = followed.figures()["cpu_seconds"]
    session.drain("streaming")
    return {
        "fault": session.judge(f"streaming: {RATE} orders a second", outcome),
        "p50_ms": outcome.p50_ms,
        "p99_ms": outcome.p99_ms,
        "accepted_per_s": outcome.orders_per_s,
        "stream_core_share": round(used["stream"] / seconds, 3),
        "postgres_core_share": round(used["postgres"] / seconds, 3),
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
        count=session.sizes.listeners,
    )
    command = [sys.executable, "-m", "tools.bench.load.listening"]
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

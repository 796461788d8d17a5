"""Whether this process can take orders. The broker is reported, never required."""

import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import Max
from django.http import HttpRequest, HttpResponse

from counter.api.answers import json_answer
from counter.models import Quote
from infra.broker.canary import trips
from infra.broker.connection import connect
from infra.coordination import clock
from infra.coordination.ages import lies_ahead
from infra.coordination.leases import leaders

# A load balancer asks every second and gives up after one: a broker that says nothing makes nobody unready.
BROKER_ASKED_FOR_SECONDS = 0.5


class ReadOnly(Exception):
    """The session may not write: of a standby, or of a primary that was demoted."""


def readyz(request: HttpRequest) -> HttpResponse:
    """503 when counter's own database does not answer or takes no writes, or its time is not known.

    The rest is told for people.
    """
    database = _checked(_ask_database)
    checks = {
        "database": {**database, "required": True},
        "broker": {**_checked(_ask_broker), "required": False},
    }
    checks["clock"] = {**(_checked(_ask_clock) if database["ok"] else {"ok": False}), "required": True}
    for name, check in (("quotes", _newest_quote), ("workers", _canaries), ("leaders", _leaders)):
        checks[name] = {**(_checked(check) if database["ok"] else {"ok": False}), "required": False}
    ready = all(check["ok"] for check in checks.values() if check["required"])
    return json_answer({"ready": ready, "checks": checks}, status=200 if ready else 503)


def _checked(check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        found = check()
    except Exception as error:  # noqa: BLE001 - the answer is that it failed, by any error
        found = {"ok": False, "error": type(error).__name__}
    return {"ok": True, **found, "ms": round((time.perf_counter() - started) * 1000, 1)}


def _ask_database() -> dict[str, Any]:
    """Raises: ReadOnly; database errors. After either the next check gets a connection of its own."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_read_only')")
            if cursor.fetchone() != ("off",):
                raise ReadOnly
    except Exception:
        connection.close()
        raise
    return {}


def _ask_clock() -> dict[str, Any]:
    return {"now": clock.of("default").now().isoformat()}


def _ask_broker() -> dict[str, Any]:
    with connect(timeout_seconds=BROKER_ASKED_FOR_SECONDS) as broker:
        broker.default_channel  # noqa: B018 - which connects to the first broker that answers
    return {}


def _canaries() -> dict[str, Any]:
    """The canary's last way through each queue of the workers, and back."""
    found = trips()
    queues = {
        trip.queue: {
            "age_seconds": None if trip.age_seconds is None else round(trip.age_seconds, 3),
            "round_trip_ms": None if trip.took_seconds is None else round(trip.took_seconds * 1000, 1),
        }
        for trip in found
    }
    return {"ok": all(trip.ok for trip in found), "queues": queues}


def _leaders() -> dict[str, Any]:
    """Who leads beside this database; the desk's own leases lie with the desk."""
    found = leaders(using="default")
    holders = {
        leader.name: {"holder": leader.holder, "silent_seconds": round(leader.silent_seconds, 3)}
        for leader in found
    }
    return {"ok": bool(found) and all(leader.is_alive for leader in found), "holders": holders}


def _newest_quote() -> dict[str, Any]:
    newest = Quote.objects.aggregate(newest=Max("quoted_at"))["newest"]
    if newest is None:
        return {"ok": False, "age_seconds": None}
    now = clock.of("default").now()
    return {"ok": not lies_ahead(newest, now=now), "age_seconds": round((now - newest).total_seconds(), 3)}

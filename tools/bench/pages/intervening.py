"""What two people do to a stuck conversion, request by request; each is asked for on a conversion made for it."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from acceptance.intake import ingest
from acceptance.models import AcceptedOrder
from counter.models import TradingStatus
from counter.orders import outbox
from infra.db.decisions import Person
from settlement.conversions import converting, sweep
from settlement.counter_link import conditions, reporting
from settlement.intervention_pages.forms import trades_as_initial
from settlement.interventions import asking, deciding
from settlement.interventions.operations import state_of
from settlement.interventions.terms import Terms
from settlement.models import Conversion, Intervention
from settlement.models.history import Subject
from tools.bench.plans.ground import Ground
from tools.bench.plans.operations import place

# The venue executes the order, and answers as if a filter of it had refused.
EXECUTED_AND_DENIED = {
    "kind": "error_after",
    "path": "/api/v3/order$",
    "method": "POST",
    "count": 1,
    "status": 400,
    "code": -1013,
    "message": "Filter failure: LOT_SIZE",
}
MOST_SECONDS_CLOSED = 60
WHY = {"reason": "Executed, and answered as if refused.", "evidence": "The venue's page."}
SHOWN = re.compile(r'name="shown" value="(\w+)"')


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a person; `prepare` makes what it needs, outside of what is measured."""

    name: str
    prepare: Callable[[], Any]
    ask: Callable[[], Any]


class Stuck:
    """A conversion that is in a person's hands although it was executed, and a request to book it."""

    row: Conversion
    made: Intervention
    form: dict[str, Any]

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        user, _ = get_user_model().objects.get_or_create(
            username="approver", defaults={"is_staff": True, "is_superuser": True}
        )
        self.approver = Client()
        self.approver.force_login(user)

    def make(self) -> None:
        """One more of them, of one order."""
        requests.post(
            f"{settings.VENUE_URL}/paper/faults", json=EXECUTED_AND_DENIED, timeout=30
        ).raise_for_status()
        self._ground.quote()
        now = timezone.now()
        place(self._ground, f"stuck-{now:%H%M%S%f}", closes=False)
        events = outbox.unsynced(placed_before=timezone.now(), limit=1000)
        ingest(events=events, door=AcceptedOrder.Door.QUEUE, now=now)
        row = converting.convert_waiting(
            underlying=events[-1].underlying, venue=self._ground.venue, now=timezone.now()
        )
        assert row is not None
        assert row.state == Conversion.State.MANUAL, row.reason
        self.row, self.form = row, self._filled_in(row)

    def _filled_in(self, row: Conversion) -> dict[str, Any]:
        terms = asking.propose(row, self._ground.venue, timezone.now())
        state, version = state_of(row)
        trades = {
            f"trades-{number}-{name}": "" if value is None else value
            for number, trade in enumerate(trades_as_initial(terms))
            for name, value in trade.items()
        }
        counts = {"trades-TOTAL_FORMS": len(terms.trades), "trades-INITIAL_FORMS": 0}
        seen = {"seen_state": state, "seen_version": version, "venue_order_id": terms.venue_order_id}
        return {**WHY, **seen, **counts, **trades}

    def show(self) -> None:
        """One more, whose effects somebody has seen."""
        self.make()
        found = SHOWN.search(self.post("preview").content.decode())
        assert found is not None
        self.form["shown"] = found[1]

    def request(self) -> None:
        """One more, with a request that waits for another person."""
        self.make()
        self.made = deciding.request(
            operation=deciding.OPERATIONS[Subject.CONVERSION, Intervention.Kind.BOOK_BY_HAND],
            row_id=self.row.pk,
            seen=state_of(self.row),
            terms=asking.propose(self.row, self._ground.venue, timezone.now()),
            **WHY,
            by=Person(10**9, "somebody"),
            venue=self._ground.venue,
            now=timezone.now(),
        )

    def mend(self) -> None:
        """What is left is asked for again and booked; until the coins are open: with stuck conversions they are not."""
        for row in Conversion.objects.filter(state=Conversion.State.MANUAL):
            deciding.request(
                operation=deciding.OPERATIONS[Subject.CONVERSION, Intervention.Kind.RETRY],
                row_id=row.pk,
                seen=state_of(row),
                terms=Terms(),
                **WHY,
                by=Person(10**9, "somebody"),
                venue=self._ground.venue,
                now=timezone.now(),
            )
        sweep.resume(venue=self._ground.venue, now=timezone.now())
        reporting.report_settled(clock=timezone.now)
        for _ in range(MOST_SECONDS_CLOSED):
            conditions.tell(now=timezone.now())
            self._ground.quote()
            if not TradingStatus.objects.filter(state=TradingStatus.State.HALTED).exists():
                return
            time.sleep(1)

    def get(self, name: str, *arguments: Any) -> Any:
        """A page of the settlement's admin."""
        return self._ground.staff.get(reverse(f"admin:settlement_{name}", args=arguments))

    def post(self, step: str) -> Any:
        """A step of booking by hand."""
        url = reverse("admin:settlement_conversion_operate", args=[self.row.pk, "book_by_hand"])
        return self._ground.staff.post(url, {**self.form, "step": step})

    def approve(self) -> Any:
        """By another person."""
        url = reverse("admin:settlement_intervention_decide", args=[self.made.pk])
        return self.approver.post(url, {"decision": "approve", "note": "seen"})


def steps(ground: Ground) -> Iterator[Step]:
    """In the order in which two people take them."""
    stuck = Stuck(ground)
    yield Step("a stuck conversion", stuck.make, lambda: stuck.get("conversion_change", stuck.row.pk))
    yield Step(
        "book by hand, the form",
        stuck.make,
        lambda: stuck.get("conversion_operate", stuck.row.pk, "book_by_hand"),
    )
    for step in ("read", "preview", "word"):
        yield Step(f"book by hand, {step}", stuck.make, lambda step=step: stuck.post(step))  # type: ignore[misc]
    yield Step("book by hand, confirm", stuck.show, lambda: stuck.post("confirm"))
    yield Step("a request", stuck.request, lambda: stuck.get("intervention_change", stuck.made.pk))
    yield Step("approve", stuck.request, stuck.approve)
    stuck.mend()

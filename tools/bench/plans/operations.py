"""The real operations of both systems, each by its own door, on what the tables hold already.

Nothing is listed by hand but the doors: what they ask of the databases is theirs.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone

import audit
from acceptance import pulling as acceptance_recovery
from acceptance.intake import ingest
from acceptance.models import AcceptedOrder
from cockpit import best_execution, risk, rollup, snapshot
from counter.expiring import expiry, settlement_index
from counter.limits import in_force
from counter.market import firm_quotes, portfolio
from counter.models import Customer, IndexPrice, Option, Quote, SyncOrder
from counter.money import accounts, cash, withdrawals
from counter.orders import outbox
from counter.public_ids import Kind, public_id, row_id
from counter.stream import changes
from counter.trading.watch import Watch
from settlement import reconciliation
from settlement.conversions import rounds, sweep
from settlement.conversions.execution import measuring, minutes
from settlement.counter_link import conditions, reporting
from settlement.funds import treasury
from tools.bench.plans.admin_pages import read_admin
from tools.bench.plans.ground import INDEX, Ground
from tools.stack.supervision import wait_until

AUDIT = "audit"
FIRST_RECONCILIATION = "settlement.reconcile, the first"
READS_ALL = {AUDIT, FIRST_RECONCILIATION}


def run_all(ground: Ground) -> None:
    """Every operation once, in the order of an order's way."""
    rollup.take_if_due(now=timezone.now())
    work(ground)
    for part in (_reconcile, _read_api, _trade, _listen, read_admin, _watch):
        part(ground)
    with ground.named(AUDIT):
        audit.run(now=timezone.now(), venue=None)


def work(ground: Ground) -> None:
    """The way of some orders from their placing to their reports, and the sweeps."""
    for part in (_take_orders, _expire, _contain, _settle, _sweep):
        part(ground)


def _reconcile(ground: Ground) -> None:
    """The first run reads the whole past, for it begins at the first conversion; the next ones what is new."""
    with ground.named(FIRST_RECONCILIATION):
        reconciliation.reconcile(venue=ground.venue, clock=timezone.now, by="plans")
    with ground.named("settlement.reconcile"):
        reconciliation.reconcile(venue=ground.venue, clock=timezone.now, by="plans")


def place(ground: Ground, run: str, *, closes: bool) -> list[int]:
    """A batch of opens, or of closes of the batch `run` opened; the orders' ids."""
    names = [f"{run}-{number}" for number in range(ground.orders)]
    if closes:
        bodies: list[dict[str, Any]] = [
            {"type": "close", "client_order_id": f"{name}-c", "opened_by": name, "payout": payout}
            for name, payout in zip(names, ["instant", "at_fill"] * ground.orders, strict=False)
        ]
    else:
        symbols = ground.symbols * ground.orders
        bodies = [
            {"type": "open", "client_order_id": name, "symbol": symbol, "contracts": 1}
            for name, symbol in zip(names, symbols, strict=False)
        ]
    answer = ground.api.post("/api/v1/orders/batch", {"orders": bodies}, content_type="application/json")
    results = answer.json()["results"]
    assert all(result["status"] == 201 for result in results), results[:3]
    return [row_id(Kind.ORDER, result["order"]["id"]) for result in results]


def _take_orders(ground: Ground) -> None:
    run = f"plans-{timezone.now():%H%M%S%f}"
    with ground.named("POST orders/batch, opens"):
        place(ground, run, closes=False)
    with ground.named("POST orders/batch, again"):
        place(ground, run, closes=False)
    with ground.named("POST orders/batch, closes"):
        place(ground, run, closes=True)
    one = {"type": "open", "client_order_id": run, "symbol": ground.symbols[0], "contracts": 1}
    with ground.named("POST orders"):
        placed = ground.api.post("/api/v1/orders", one, content_type="application/json")
    assert placed.status_code == 201
    _quote(ground, run, placed.json()["position_id"])


def _quote(ground: Ground, run: str, position_id: str) -> None:
    """An open and a close, each at a firm quote."""
    opening = {"symbol": ground.symbols[0], "contracts": 1}
    for side, asked in (("open", opening), ("close", {"position_id": position_id})):
        with ground.named("POST quotes"):
            quote = ground.api.post(
                "/api/v1/quotes", {"side": side, **asked}, content_type="application/json"
            )
        assert quote.status_code == 201, quote.content
        order = {
            "type": side,
            "client_order_id": f"{run}-{side}",
            "quote_id": quote.json()["quote_id"],
            **asked,
        }
        with ground.named("POST orders, by a firm quote"):
            placed = ground.api.post("/api/v1/orders", order, content_type="application/json")
        assert placed.status_code == 201, placed.content
    with ground.named("counter.sweep_quotes"):
        firm_quotes.sweep(now=timezone.now() + timedelta(hours=2))
    with ground.named("counter.measure_portfolios"):
        portfolio.measure(now=timezone.now())
        portfolio.thin(now=timezone.now())
    with ground.named("counter.forget_index"):
        settlement_index.forget_record(now=timezone.now())


def _contain(ground: Ground) -> None:
    with ground.named("settlement.tell_conditions"):
        conditions.tell(now=timezone.now())
    with ground.named("feed, judging the coins"):
        Watch(started_at=timezone.now()).judge(now=timezone.now())
    with ground.named("feed, measuring the series"):
        in_force.measure_series(now=timezone.now())


def _settle(ground: Ground) -> None:
    events = outbox.unsynced(placed_before=timezone.now(), limit=ground.orders)
    with ground.named("intake, from the queue"):
        ingest(events=events, door=AcceptedOrder.Door.QUEUE, now=timezone.now())
    with ground.named("acceptance.pull_unsynced"):
        acceptance_recovery.pull_unsynced(min_age_ms=0, now=timezone.now())
    for underlying in settings.COINS:
        with ground.named("settlement.convert and balance"):
            while rounds.work_off(underlying=underlying, venue=ground.venue).orders_left:
                pass
    with ground.named("settlement.report"):
        reporting.report_settled(clock=timezone.now)


def _sweep(ground: Ground) -> None:
    with ground.named("settlement.resume"):
        sweep.resume(venue=ground.venue, now=timezone.now())
    with ground.named("settlement.rebalance"):
        treasury.open_books(venue=ground.venue, now=timezone.now())
        treasury.rebalance(venue=ground.venue, now=timezone.now())
    with ground.named("acceptance.pull_unsynced"):
        acceptance_recovery.pull_unsynced(min_age_ms=1000, now=timezone.now())
    with ground.named("deposit"):
        accounts.deposit(
            customer_id=ground.customer.pk,
            amount=Decimal(1),
            reference=f"plans-{timezone.now():%H%M%S%f}",
            now=timezone.now(),
        )
    reference = f"plans-{timezone.now():%H%M%S%f}"
    with ground.named("withdrawal"):
        withdrawals.reserve(
            customer_id=ground.customer.pk, amount=Decimal(1), reference=reference, now=timezone.now()
        )
        withdrawals.confirm(reference=reference, now=timezone.now())
    with ground.named("GET movements"):
        cash.movements(after_id=0, limit=500)


def _expire(ground: Ground) -> None:
    """Some positions of a series of its own, in the money, which is due the moment after."""
    option = Option.objects.get(symbol=ground.symbols[0])
    quote = Quote.objects.get(option=option)
    option.pk, option.symbol, option.strike = None, f"BTC-1JAN70-{timezone.now():%H%M%S%f}-C", Decimal(60_000)
    option.save()
    quote.option = option
    quote.save(force_insert=True)
    bodies = [
        {"type": "open", "client_order_id": f"{option.symbol}-{n}", "symbol": option.symbol, "contracts": 1}
        for n in range(ground.orders)
    ]
    answer = ground.api.post("/api/v1/orders/batch", {"orders": bodies}, content_type="application/json")
    assert all(result["status"] == 201 for result in answer.json()["results"])
    expired_at = timezone.now() - timedelta(minutes=2)
    Option.objects.filter(pk=option.pk).update(expires_at=expired_at)
    IndexPrice.objects.bulk_create(
        IndexPrice(underlying="BTC", price=INDEX["BTC"], at=expired_at - timedelta(seconds=10 * n + 1))
        for n in range(180)
    )
    with ground.named("counter.expire"):
        assert expiry.expire_due(now=timezone.now()) == ground.orders


def _read_api(ground: Ground) -> None:
    begun = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    orders = ground.api.get("/api/v1/orders").json()["results"]
    positions = ground.api.get("/api/v1/positions").json()["results"]
    far = public_id(Kind.LEDGER_ENTRY, 2**40)
    for path in (
        *("/readyz", "/api/v1/instruments", "/api/v1/quotes?underlying=BTC", "/api/v1/accounts"),
        *("/api/v1/greeks?underlying=BTC", "/api/v1/index?underlying=BTC", "/api/v1/portfolio"),
        *("/api/v1/orders", "/api/v1/orders?limit=500", f"/api/v1/orders?cursor={orders[-1]['id']}"),
        *("/api/v1/orders?state=pending", "/api/v1/orders?state=synced", "/api/v1/orders?state=settled"),
        f"/api/v1/orders?client_order_id={orders[-1]['client_order_id']}",
        *(f"/api/v1/orders?symbol={orders[-1]['symbol']}", f"/api/v1/orders/{orders[-1]['id']}"),
        *("/api/v1/positions", "/api/v1/positions?state=open", "/api/v1/positions?state=closed"),
        *(f"/api/v1/orders?from={begun}", f"/api/v1/orders?to={begun}"),
        *(f"/api/v1/positions?from={begun}", f"/api/v1/positions?to={begun}"),
        f"/api/v1/positions/{positions[-1]['id']}",
        *("/api/v1/ledger", f"/api/v1/ledger?cursor={far}", "/api/v1/withdrawals"),
        *(f"/api/v1/ledger?from={begun}", f"/api/v1/ledger?to={begun}", f"/api/v1/statements/{begun[:7]}"),
        *("/api/v1/withdrawals?state=reserved", f"/api/v1/ledger.csv?from={begun}"),
    ):
        name = path.replace("/api/v1/", "GET ").split("=")[0]
        with ground.named(name):
            response = ground.api.get(path)
            if response.streaming:
                assert response.getvalue()
        assert response.status_code == 200, path


def _trade(ground: Ground) -> None:
    """The trade page of the customer with the long history, by its parts."""
    client = Client()
    client.force_login(ground.customer.user)
    # Of the page's own names: it asks for none that ours have, as `exercise/` and an id.
    own = SyncOrder.objects.filter(customer=ground.customer).exclude(kind=SyncOrder.Kind.EXERCISE)
    order = own.latest("pk")
    symbol = f"symbol={ground.symbols[0]}"
    far = public_id(Kind.LEDGER_ENTRY, 2**40)
    for path in (
        *(
            "",
            "chain/?coin=BTC",
            "book/",
            "portfolio/",
            f"ticket/?{symbol}",
            f"ticket/?position={public_id(Kind.POSITION, order.position_id)}",
        ),
        *(
            f"orders/{public_id(Kind.ORDER, order.pk)}/",
            f"orders/outcome/?client_order_id={order.client_order_id}",
        ),
        *(
            "history/orders/",
            "history/positions/",
            "history/ledger/",
            f"history/ledger/?before={far}",
        ),
    ):
        with ground.named(f"GET /trade/{path.split('?')[0]}"):
            assert client.get(f"/trade/{path}").status_code in (200, 286), path


def _listen(ground: Ground) -> None:
    """The customer with the long history, and some others who have one."""
    order = SyncOrder.objects.filter(customer=ground.customer).latest("pk")
    with ground.named("stream, beginning"):
        _, told = changes.begin(customer_id=ground.customer.pk, since=None)
        changes.begin(customer_id=ground.customer.pk, since=changes.Mark(order.pk - 1000, timezone.now()))
    following = changes.Following()
    for customer_id in Customer.objects.values_list("pk", flat=True)[:100]:
        following.follow(changes.Told(customer_id, told.last_order_id, {}, {}, None))
    following.follow(changes.Told(ground.customer.pk, order.pk - 20, {order.pk - 20: "PENDING"}, {}, None))
    with ground.named("stream, reading"):
        following.read(now=timezone.now())
    following.follow(
        changes.Told(ground.customer.pk, order.pk, {order.pk: "PENDING"}, {order.pk: order.placed_at}, None)
    )
    with ground.named("stream, reading again"):
        following.read(now=timezone.now())


def _watch(ground: Ground) -> None:
    """The second rollup sees what there is, the third one counts it, and its calls later."""
    now = timezone.now()
    for later in (10, 20, 30, 40):
        with ground.named(f"cockpit.tally, {later} s later"):
            rollup.take_if_due(now=now + timedelta(seconds=later))
    with ground.named("settlement.measure_executions"):
        at = (now + timedelta(seconds=later) for later in range(0, 6_000, 10))
        # What runs beside the first has to end before there is something to enter: the server's own upkeep may.
        wait_until(lambda: measuring.enter_booked(clock=lambda: next(at)), within_seconds=60)
        minutes.ask_awaited(venue=ground.venue, clock=lambda: now + timedelta(minutes=2))
    for path in (
        *("/admin/", "/admin/figures/", "/admin/risk/", "/metrics"),
        *("/admin/best-execution/", "/admin/best-execution/file.csv"),
    ):
        snapshot.shared.forget()
        risk.shared_risk.forget()
        best_execution.shared_last_day.forget()
        with ground.named(f"GET {path}"):
            answer = ground.staff.get(path)
            if answer.streaming:
                assert answer.getvalue()
        assert answer.status_code == 200, path

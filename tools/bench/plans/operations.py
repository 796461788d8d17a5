"""The real operations of both systems, each by its own door, on what the tables hold already.

Nothing is listed by hand but the doors: what they ask of the databases is theirs.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory
from django.urls import resolve, reverse
from django.utils import timezone
from rest_framework.authtoken.models import Token

import audit
from acceptance import pulling as acceptance_recovery
from acceptance.intake import ingest
from acceptance.models import AcceptedOrder
from cockpit import best_execution, risk, rollup, snapshot
from counter.expiring import expiry, settlement_index
from counter.limits import in_force
from counter.market import firm_quotes, portfolio, quotes
from counter.market.listing import listings
from counter.models import Account, Customer, IndexPrice, Option, Quote, SyncOrder
from counter.money import accounts, cash, withdrawals
from counter.orders import outbox
from counter.public_ids import Kind, public_id, row_id
from counter.stream import changes
from counter.trading import status
from settlement import reconciliation
from settlement.conversions import rounds, sweep
from settlement.conversions.execution import measuring, minutes
from settlement.counter_link import conditions, reporting
from settlement.funds import treasury
from settlement.models import Conversion
from settlement.venues.protocol import Venue
from tools.stack.supervision import wait_until

INDEX = {"BTC": Decimal(90_000), "ETH": Decimal(3_000)}
AUDIT = "audit"
FIRST_RECONCILIATION = "settlement.reconcile, the first"
READS_ALL = {AUDIT, FIRST_RECONCILIATION}
OUR_APPS = {"counter", "acceptance", "settlement", "audit", "cockpit"}

Named = Callable[[str], AbstractContextManager[None]]


@dataclass(slots=True)
class Ground:
    """Who acts: a customer with a long history, a member of staff, and the venue; `named` begins an operation."""

    venue: Venue
    orders: int
    named: Named
    customer: Customer = field(init=False)
    api: Client = field(init=False)
    user: Any = field(init=False)
    staff: Client = field(init=False)
    symbols: list[str] = field(init=False)

    def __post_init__(self) -> None:
        history = Customer.objects.filter(reference__startswith="history-").first()
        assert history is not None, "fill the databases first"
        self.customer = history
        token, _ = Token.objects.get_or_create(user=history.user)
        self.api = Client(headers={"authorization": f"Token {token.key}"})
        self.user, _ = get_user_model().objects.get_or_create(
            username="plans", is_staff=True, is_superuser=True
        )
        self.staff = Client()
        self.staff.force_login(self.user)
        treasury.open_books(venue=self.venue, now=timezone.now())
        self.quote()

    def quote(self) -> None:
        """List options around the index, with prices of now, and open the coins."""
        now = timezone.now()
        new = [row for coin in INDEX for row in listings(underlying=coin, index=INDEX[coin], now=now)]
        quotes.list_options(listings=new, now=now)
        self.symbols = [listing.symbol for listing in new][:: max(1, len(new) // 20)]
        premiums = {"bid": Decimal("0.02"), "ask": Decimal("0.021"), "mark": Decimal("0.02")}
        fresh = [
            quotes.NewQuote(
                symbol=listing.symbol,
                implied_volatility=Decimal("0.5"),
                index_price=INDEX[listing.underlying],
                **premiums,
            )
            for listing in new
        ]
        quotes.update_quotes(quotes=fresh, now=now)
        status.Watch(started_at=now).judge(now=now)


def run_all(ground: Ground) -> None:
    """Every operation once, in the order of an order's way."""
    rollup.take_if_due(now=timezone.now())
    work(ground)
    for part in (_reconcile, _read_api, _trade, _listen, _read_admin, _watch):
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
        status.Watch(started_at=timezone.now()).judge(now=timezone.now())
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


def order_names(ground: Ground) -> list[str]:
    """What somebody may know an order by: its own names, its customer's, those at the venue, and one of nothing."""
    order, conversion = SyncOrder.objects.latest("pk"), Conversion.objects.latest("pk")
    names = [str(order.pk), order.client_order_id, ground.customer.reference, "nobody"]
    return [*names, conversion.venue_order_id or "0", conversion.client_order_id]


def _find_orders(ground: Ground) -> None:
    """By each name of an order, and its timeline."""
    order = SyncOrder.objects.latest("pk")
    for term in order_names(ground):
        with ground.named("GET /admin/timeline/"):
            assert ground.staff.get("/admin/timeline/", {"q": term}).status_code in (200, 302), term
    with ground.named("GET /admin/timeline/ORDER/"):
        assert ground.staff.get(f"/admin/timeline/{order.pk}/").status_code == 200


def _read_admin(ground: Ground) -> None:
    _find_orders(ground)
    for name, urls in admin_addresses(ground):
        with ground.named(f"admin {name}"):
            for url in urls:
                _read_page(ground, url)


def _read_page(ground: Ground, url: str) -> None:
    """A page of the admin; of a list that is searched or filtered, what it asks that the whole list does not."""
    path, _, query = url.partition("?")
    if not query or query.startswith("p="):
        assert ground.staff.get(url).status_code == 200, url
        return
    request = RequestFactory().get(url)
    request.user = ground.user
    view: Any = resolve(path).func
    list(view.model_admin.get_changelist_instance(request).result_list)


def admin_addresses(ground: Ground) -> Iterator[tuple[str, Iterator[str]]]:
    """Each of our tables in the admin by name, with all that can be asked of its list."""
    conversion, order = Conversion.objects.latest("pk"), SyncOrder.objects.latest("pk")
    account = Account.objects.get(customer=ground.customer)
    terms = [
        *(str(conversion.pk), conversion.client_order_id, str(conversion.order_count), account.code),
        *(str(ground.customer.reference), "BTC", ground.symbols[0], str(2**40)),
        *(str(order.pk), order.client_order_id),
    ]
    for model in admin.site._registry:
        if model._meta.app_label in OUR_APPS:
            listing = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            yield str(model._meta.model_name), _admin_queries(ground, listing, terms)


def _admin_queries(ground: Ground, url: str, terms: list[str]) -> Iterator[str]:
    """The list, the last page that is counted, everything searched for, each choice of each filter, and one row."""
    changes = (ground.staff.get(url).context_data or {})["cl"]
    yield url
    yield f"{url}?p={changes.paginator.num_pages}"
    yield from (f"{url}?q={term}" for term in terms)
    for filtered in changes.filter_specs:
        yield from (url + choice["query_string"] for choice in filtered.choices(changes))
    yield from (f"{url}{row.pk}/change/" for row in changes.result_list[:1])

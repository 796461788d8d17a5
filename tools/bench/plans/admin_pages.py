"""Reading the admin: the timeline of an order, and every list with all that can be asked of it."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.test import RequestFactory
from django.urls import resolve, reverse

from counter.models import Account, SyncOrder
from settlement.models import Conversion
from tools.bench.plans.ground import Ground

OUR_APPS = {"counter", "acceptance", "settlement", "audit", "cockpit"}


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


def read_admin(ground: Ground) -> None:
    """The timeline of an order by all its names, and each list by all that can be asked of it."""
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

"""Addresses of the customers' API, the desk's internal API and the health checks."""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from counter.api import books, health, internal, market, orders
from counter.api.errors import unknown_address

urlpatterns = [
    path("api/v1/orders", orders.OrdersView.as_view()),
    path("api/v1/orders/batch", orders.OrderBatchView.as_view()),
    path("api/v1/orders/<int:order_id>", orders.OrderView.as_view()),
    path("api/v1/positions", books.PositionsView.as_view()),
    path("api/v1/positions/<int:position_id>", books.PositionView.as_view()),
    path("api/v1/accounts", books.AccountsView.as_view()),
    path("api/v1/ledger", books.LedgerView.as_view()),
    path("api/v1/instruments", market.InstrumentsView.as_view()),
    path("api/v1/quotes", market.QuotesView.as_view()),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema")),
    path("internal/v1/sync-orders", internal.unsynced),
    path("internal/v1/sync-orders/ack", internal.acknowledge),
    path("internal/v1/settlements", internal.settlements),
    path("internal/v1/conditions", internal.conditions),
    path("internal/v1/clearing", internal.clearing),
    path("readyz", health.readyz),
    path("api/<path:rest>", csrf_exempt(unknown_address)),
    path("internal/<path:rest>", csrf_exempt(unknown_address)),
]

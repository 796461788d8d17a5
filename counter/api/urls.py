"""Addresses of the customers' API, the desk's internal API, the wallet service's API and the health checks."""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularSwaggerView

from counter.api import (
    health,
    internal,
    ledger,
    market,
    orders,
    portfolio,
    positions,
    server_time,
    wallet,
    webhooks,
    withdrawals,
)
from counter.api.errors import unknown_address
from counter.api.schema import SchemaView

urlpatterns = [
    path("api/v1/orders", orders.OrdersView.as_view()),
    path("api/v1/orders/batch", orders.OrderBatchView.as_view()),
    path("api/v1/orders/<str:order_id>", orders.OrderView.as_view()),
    path("api/v1/positions", positions.PositionsView.as_view()),
    path("api/v1/positions/<str:position_id>", positions.PositionView.as_view()),
    path("api/v1/accounts", positions.AccountsView.as_view()),
    path("api/v1/ledger", ledger.LedgerView.as_view()),
    path("api/v1/ledger.csv", ledger.LedgerCsvView.as_view()),
    path("api/v1/statements/<str:month>", ledger.StatementView.as_view()),
    path("api/v1/withdrawals", withdrawals.WithdrawalsView.as_view()),
    path("api/v1/portfolio", portfolio.PortfolioView.as_view()),
    path("api/v1/instruments", market.InstrumentsView.as_view()),
    path("api/v1/quotes", market.QuotesView.as_view()),
    path("api/v1/greeks", market.GreeksView.as_view()),
    path("api/v1/index", market.IndexView.as_view()),
    path("api/v1/webhook-endpoints", webhooks.WebhookEndpointsView.as_view()),
    path("api/v1/webhook-endpoints/<str:endpoint_id>", webhooks.WebhookEndpointView.as_view()),
    path("api/v1/webhook-endpoints/<str:endpoint_id>/secret", webhooks.WebhookSecretView.as_view()),
    path("api/v1/time", server_time.TimeView.as_view()),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path(
        "api/docs",
        # OPTIONS would be answered by its renderer, which has no template for that: 500.
        SpectacularSwaggerView.as_view(url_name="schema", http_method_names=["get", "head"]),
        name="api_docs",
    ),
    path("internal/v1/sync-orders", internal.UnsyncedView.as_view()),
    path("internal/v1/sync-orders/ack", internal.AcknowledgeView.as_view()),
    path("internal/v1/order-history", internal.HistoryView.as_view()),
    path("internal/v1/order-ids", internal.OrderIdsView.as_view()),
    path("internal/v1/settlements", internal.SettlementsView.as_view()),
    path("internal/v1/conditions", internal.ConditionsView.as_view()),
    path("internal/v1/clearing", internal.ClearingView.as_view()),
    path("internal/v1/clearing-payments", internal.ClearingPaymentsView.as_view()),
    path("wallet/v1/customers", wallet.CustomersView.as_view()),
    path("wallet/v1/deposits", wallet.DepositsView.as_view()),
    path("wallet/v1/withdrawals", wallet.WalletWithdrawalsView.as_view()),
    path("wallet/v1/withdrawals/<str:reference>", wallet.WithdrawalView.as_view()),
    path("wallet/v1/withdrawals/<str:reference>/confirm", wallet.ConfirmView.as_view()),
    path("wallet/v1/withdrawals/<str:reference>/release", wallet.ReleaseView.as_view()),
    path("wallet/v1/movements", wallet.MovementsView.as_view()),
    path("readyz", health.readyz),
    path("api/<path:rest>", csrf_exempt(unknown_address)),
    path("internal/<path:rest>", csrf_exempt(unknown_address)),
    path("wallet/<path:rest>", csrf_exempt(unknown_address)),
]

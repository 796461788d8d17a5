"""Addresses of the customers' API, the desk's internal API, the wallet service's API and the health checks."""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from counter.api import books, health, internal, ledger, market, orders, wallet, withdrawals
from counter.api.errors import unknown_address
from counter.api.signed import DESK, WALLET
from counter.api.stream.views import ElsewhereView

urlpatterns = [
    path("api/v1/orders", orders.OrdersView.as_view()),
    path("api/v1/orders/batch", orders.OrderBatchView.as_view()),
    path("api/v1/orders/<int:order_id>", orders.OrderView.as_view()),
    path("api/v1/positions", books.PositionsView.as_view()),
    path("api/v1/positions/<int:position_id>", books.PositionView.as_view()),
    path("api/v1/accounts", books.AccountsView.as_view()),
    path("api/v1/ledger", ledger.LedgerView.as_view()),
    path("api/v1/ledger.csv", ledger.LedgerCsvView.as_view()),
    path("api/v1/statements/<str:month>", ledger.StatementView.as_view()),
    path("api/v1/withdrawals", withdrawals.WithdrawalsView.as_view()),
    path("api/v1/instruments", market.InstrumentsView.as_view()),
    path("api/v1/quotes", market.QuotesView.as_view()),
    path("api/v1/stream", ElsewhereView.as_view()),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema")),
    path("internal/v1/sync-orders", DESK.view(GET=internal.unsynced)),
    path("internal/v1/sync-orders/ack", DESK.view(POST=internal.acknowledge)),
    path("internal/v1/order-history", DESK.view(GET=internal.history)),
    path("internal/v1/settlements", DESK.view(POST=internal.settlements)),
    path("internal/v1/conditions", DESK.view(POST=internal.conditions)),
    path("internal/v1/clearing", DESK.view(GET=internal.clearing)),
    path("wallet/v1/customers", WALLET.view(POST=wallet.open_account)),
    path("wallet/v1/deposits", WALLET.view(POST=wallet.deposit)),
    path("wallet/v1/withdrawals", WALLET.view(GET=wallet.list_withdrawals, POST=wallet.reserve)),
    path("wallet/v1/withdrawals/<str:reference>", WALLET.view(GET=wallet.read_withdrawal)),
    path("wallet/v1/withdrawals/<str:reference>/confirm", WALLET.view(POST=wallet.confirm)),
    path("wallet/v1/withdrawals/<str:reference>/release", WALLET.view(POST=wallet.release)),
    path("wallet/v1/movements", WALLET.view(GET=wallet.list_movements)),
    path("readyz", health.readyz),
    path("api/<path:rest>", csrf_exempt(unknown_address)),
    path("internal/<path:rest>", csrf_exempt(unknown_address)),
    path("wallet/<path:rest>", csrf_exempt(unknown_address)),
]

"""Addresses of the trade page."""

from django.urls import path, re_path
from django.views.i18n import set_language

from trade import api_keys, closing_views, login, order_views, password, views

app_name = "trade"
urlpatterns = [
    path("", views.page, name="page"),
    path("chain/", views.chain, name="chain"),
    path("index/", views.index, name="index"),
    path("portfolio/", views.portfolio, name="portfolio"),
    path("book/", views.book, name="book"),
    path("ticket/", order_views.ticket, name="ticket"),
    path("quotes/", order_views.quotes, name="quotes"),
    path("orders/", order_views.orders, name="orders"),
    path("closing/quotes/", closing_views.quotes, name="closing_quotes"),
    path("closing/orders/", closing_views.orders, name="closing_orders"),
    path("closing/outcome/", closing_views.outcome, name="closing_outcome"),
    path("orders/outcome/", order_views.outcome, name="outcome"),
    path("orders/<str:order_id>/", order_views.order, name="order"),
    re_path(r"^history/(?P<kind>orders|positions|ledger)/$", views.past, name="history"),
    path("keys/", api_keys.keys, name="keys"),
    path("keys/<slug:public_id>/secret/", api_keys.collected, name="collected"),
    path("keys/<slug:public_id>/revoke/", api_keys.revoked, name="revoked"),
    path("password/", password.password, name="password"),
    path("login/", login.CustomerLogin.as_view(), name="login"),
    path("language/", set_language, name="language"),
    path("logout/", login.CustomerLogout.as_view(), name="logout"),
]

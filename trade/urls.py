"""Addresses of the trade page."""

from django.urls import path, re_path

from trade import login, order_views, views

app_name = "trade"
urlpatterns = [
    path("", views.page, name="page"),
    path("chain/", views.chain, name="chain"),
    path("book/", views.book, name="book"),
    path("ticket/", order_views.ticket, name="ticket"),
    path("quotes/", order_views.quotes, name="quotes"),
    path("orders/", order_views.orders, name="orders"),
    path("orders/outcome/", order_views.outcome, name="outcome"),
    path("orders/<int:order_id>/", order_views.order, name="order"),
    re_path(r"^history/(?P<kind>orders|positions|ledger)/$", views.past, name="history"),
    path("login/", login.CustomerLogin.as_view(), name="login"),
    path("logout/", login.CustomerLogout.as_view(), name="logout"),
]

"""Addresses of staff's programs, and their schema."""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularAPIView

from cockpit.api import views
from counter.api.errors import unknown_address

ADDRESSES = [
    path("staff/v1/risk", views.RiskView.as_view()),
    path("staff/v1/balances", views.BalancesView.as_view()),
    path("staff/v1/days", views.DaysView.as_view()),
    path("staff/v1/days/<str:day>", views.DayView.as_view()),
    path(
        "staff/v1/days/<str:day>/<slug:name>.<slug:kind>", views.DayFileView.as_view(), name="staff_day_file"
    ),
]
# Apart from the customers' schema: their generated clients have no use for it.
SCHEMA = SpectacularAPIView.as_view(
    patterns=ADDRESSES,
    authentication_classes=[],
    permission_classes=[],
    custom_settings={
        "TITLE": "Crossbook, for staff",
        "DESCRIPTION": "Risk, balances and closed days, read by staff's keys.",
        "PREPROCESSING_HOOKS": [],
        "POSTPROCESSING_HOOKS": [],
        "WEBHOOKS": [],
        "TAGS": [
            {"name": "risk", "description": "Greeks and scenarios of the option book."},
            {"name": "balances", "description": "What the exchange owes and holds."},
            {"name": "days", "description": "Days that two people have closed, and their files."},
        ],
    },
)
urlpatterns = [
    *ADDRESSES,
    path("staff/schema", SCHEMA, name="staff_schema"),
    path("staff/<path:rest>", csrf_exempt(unknown_address)),
]

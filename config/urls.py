"""All addresses: customers' API, the trade page, the desk's internal API, admin, health, metrics."""

from django.contrib import admin
from django.urls import include, path

from cockpit import views

urlpatterns = [
    path("", include("counter.api.urls")),
    path("trade/", include("trade.urls")),
    path("admin/timeline/", include("cockpit.timeline.urls")),
    path("metrics", views.metrics),
    path("admin/figures/", views.figures, name="figures"),
    path("admin/", admin.site.urls),
]

handler400 = "counter.api.errors.bad_request"
handler404 = "counter.api.errors.page_not_found"
handler500 = "counter.api.errors.server_error"

"""All addresses: the front page, customers' API, the trade page, the desk's internal API, admin, health, metrics."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.http import require_safe
from django.views.generic import TemplateView

from cockpit import audit_pdf, balances_page, best_execution_page, days_page, risk_page, staff_site, views
from counter.stream.views import ElsewhereView

staff_site.load_pages()

urlpatterns = [
    path("", require_safe(TemplateView.as_view(template_name="front.html")), name="front"),
    path("api/v1/stream", ElsewhereView.as_view()),
    path("", include("counter.api.urls")),
    path("", include("cockpit.api.urls")),
    path("trade/", include("trade.urls")),
    path("admin/timeline/", include("cockpit.timeline.urls")),
    path("metrics", views.metrics),
    path("admin/risk/", admin.site.admin_view(risk_page.risk), name="risk"),
    path("admin/balances/", admin.site.admin_view(balances_page.balances), name="balances"),
    path("admin/best-execution/", admin.site.admin_view(best_execution_page.show), name="best_execution"),
    path(
        "admin/best-execution/file.csv",
        admin.site.admin_view(best_execution_page.file),
        name="best_execution_file",
    ),
    path("admin/days/", admin.site.admin_view(days_page.show_days), name="days"),
    path("admin/days/make/", admin.site.admin_view(days_page.make), name="make_day"),
    path("admin/days/<int:pk>/", admin.site.admin_view(days_page.show_day), name="day"),
    path("admin/days/<int:pk>/bar/", admin.site.admin_view(days_page.show_bar), name="day_bar"),
    path("admin/days/<int:pk>/close/", admin.site.admin_view(days_page.close), name="close_day"),
    path("admin/days/<int:pk>/file.csv", admin.site.admin_view(days_page.file), name="day_file"),
    path("admin/days/<int:pk>/close.pdf", admin.site.admin_view(days_page.pdf), name="day_pdf"),
    path(
        "admin/days/<int:pk>/rows/<slug:name>.<slug:kind>",
        admin.site.admin_view(days_page.rows),
        name="day_rows",
    ),
    path(
        "admin/audit-runs/<int:pk>/report.pdf", admin.site.admin_view(audit_pdf.report), name="audit_run_pdf"
    ),
    path("admin/figures/", views.figures, name="figures"),
    path("admin/", admin.site.urls),
]

handler400 = "counter.api.errors.bad_request"
handler404 = "counter.api.errors.page_not_found"
handler500 = "counter.api.errors.server_error"

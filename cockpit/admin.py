"""The cockpit's own tables in the admin: what audits have found, to look at."""

from django.contrib import admin

from audit.models import AuditRun
from infra.admin.readonly import ReadOnlyAdmin, link_column


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    pdf = link_column("PDF", page="audit_run_pdf", by="pk")
    list_display = ["at", "pdf", "broken", "in_flight", "unchecked", "seconds"]

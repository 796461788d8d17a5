"""The cockpit's own tables in the admin: what audits have found, to look at."""

from django.contrib import admin

from audit.models import AuditRun
from infra.admin.readonly import ReadOnlyAdmin


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    list_display = ["at", "broken", "in_flight", "unchecked", "seconds"]

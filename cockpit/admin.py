"""The cockpit's own tables in the admin, to look at: what audits have found, and keys of staff."""

from django.contrib import admin

from audit.models import AuditRun
from cockpit import staff_keys
from cockpit.models import StaffKey
from infra.admin.readonly import ReadOnlyAdmin, link_column
from infra.coordination import clock


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    pdf = link_column("PDF", page="audit_run_pdf", by="pk")
    list_display = ["at", "pdf", "broken", "in_flight", "unchecked", "seconds"]


@admin.register(StaffKey)
class StaffKeyAdmin(ReadOnlyAdmin):
    """Keys by which programs of staff read: whose, until when, and when each was used last. Made at the console."""

    list_display = ["label", "user", "created_at", "state", "last_used_at"]
    list_select_related = ["user"]
    fields = ["label", "user", "created_at", "expires_at", "ended_at", "last_used_at"]
    search_fields = ["label__startswith", "user__username__startswith"]
    search_help_text = "Beginning of the label, or of the user's name"

    @admin.display(description="good")
    def state(self, key: StaffKey) -> str:
        """Ended, expired, or good until when."""
        return staff_keys.state_of(key, now=clock.of("default").now())

"""Users, groups and schedules to look at; second factors, customers' tokens and unused kinds of schedules on no page.

Guards four eyes and customers against staff: one who could set a password, a right or a role here could be an approver
or a customer. Users, roles and passwords are made at the console (`manage.py staff`, `changepassword`), as second
factors are (`two_factor`); here somebody can only be shut out. What beat sends is declared in migrations: one who could
write that here could have a worker run any task in anybody's name, and the library's own actions ask for no permission.
Here a sweep gets another interval, of those there are, or is stopped.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework.authtoken.models import TokenProxy
from unfold.decorators import action

from infra.admin.readonly import ReadOnlyAdmin

admin.site.unregister(
    [
        *(TOTPDevice, StaticDevice, TokenProxy, User, Group),
        *(CrontabSchedule, SolarSchedule, ClockedSchedule, IntervalSchedule, PeriodicTask),
    ]
)


@admin.register(User)
class StaffUserAdmin(ReadOnlyAdmin, UserAdmin):  # type: ignore[misc]
    actions = ["shut_out"]
    fieldsets = (
        (
            None,
            {"fields": ("username", "is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )

    def has_shut_out_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the action and whose request for it is obeyed."""
        return request.user.has_perm("auth.change_user")

    @action(description="Shut out (not active)", permissions=["shut_out"])
    def shut_out(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """The selected users cannot log in and no program of theirs is let in; undone at the console."""
        users = list(queryset.filter(is_active=True))
        for user in users:
            user.is_active = False
            user.save(update_fields=["is_active"])
            self.log_change(request, user, "Shut out.")
        level = messages.SUCCESS if users else messages.WARNING
        self.message_user(request, f"{len(users)} users were shut out.", level)


@admin.register(Group)
class StaffGroupAdmin(ReadOnlyAdmin, GroupAdmin):  # type: ignore[misc]
    pass


@admin.register(PeriodicTask)
class ScheduleAdmin(ReadOnlyAdmin):
    list_display = ["name", "task", "interval", "enabled", "last_run_at", "total_run_count"]
    list_select_related = ["interval"]
    list_filter = ["enabled"]
    search_fields = ["name", "task"]
    fields = ["name", "task", "args", "interval", "enabled", "expire_seconds", "last_run_at", "description"]
    readonly_fields = ["name", "task", "args", "expire_seconds", "last_run_at", "description"]
    actions: list[str] = []

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """How often it runs, of the intervals that there are, and whether at all."""
        return request.user.has_perm("django_celery_beat.change_periodictask")

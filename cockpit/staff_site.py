"""The admin's site: with STAFF_TWO_FACTOR it lets in only who has shown a second factor, and asks for one at login."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.sites import UnfoldAdminSite


class StaffAdminConfig(SimpleAdminConfig):
    """Django's admin on our site. Its pages are loaded with the addresses: a process that serves none needs none."""

    default_site = "cockpit.staff_site.StaffSite"

    def ready(self) -> None:
        """Have `manage.py check` look at the pages, which it has loaded for that."""
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_pages, checks.Tags.admin)


def load_pages() -> None:
    """Load every app's pages, and then those of users and schedules in place of their own apps'."""
    admin.autodiscover()
    from infra.admin import pages  # noqa: F401 - registers them


def _check_pages(**options: Any) -> list[checks.CheckMessage]:
    load_pages()
    return check_admin_app(**options)


class StaffSite(UnfoldAdminSite):
    """Staff need both factors, also those who were logged in before the second one was asked for."""

    login_template = "cockpit/login.html"

    @property
    def login_form(self) -> type[forms.Form]:
        """The form of the setting as it is."""
        return self._with_token if settings.STAFF_TWO_FACTOR else self._without_token

    @cached_property
    def _with_token(self) -> type[forms.Form]:
        # Forms of models are there only once the apps are loaded.
        from cockpit.staff_login import TokenLoginForm

        return TokenLoginForm

    @cached_property
    def _without_token(self) -> type[forms.Form]:
        from cockpit.staff_login import StaffLoginForm

        return StaffLoginForm

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the request may see any page of the admin."""
        user: Any = request.user
        return super().has_permission(request) and (not settings.STAFF_TWO_FACTOR or user.is_verified())

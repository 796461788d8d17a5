"""The admin's site: with STAFF_TWO_FACTOR it lets in only who has shown a second factor, and asks for one at login."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.sites import UnfoldAdminSite

TOKEN_DIGITS = 6  # of an authenticator; a recovery code is longer


class StaffAdminConfig(AdminConfig):
    """Django's admin on our site."""

    default_site = "config.staff.StaffSite"


class StaffSite(UnfoldAdminSite):
    """Staff need both factors, also those who were logged in before the second one was asked for."""

    login_template = "config/login.html"

    @property
    def login_form(self) -> type[forms.Form]:
        """The form of the setting as it is."""
        return self._with_token if settings.STAFF_TWO_FACTOR else self._without_token

    @cached_property
    def _with_token(self) -> type[forms.Form]:
        # Forms of models are there only once the apps are loaded.
        from config.staff_login import TokenLoginForm

        return TokenLoginForm

    @cached_property
    def _without_token(self) -> type[forms.Form]:
        from unfold.forms import AuthenticationForm

        return AuthenticationForm

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the request may see any page of the admin."""
        user: Any = request.user
        return super().has_permission(request) and (not settings.STAFF_TWO_FACTOR or user.is_verified())

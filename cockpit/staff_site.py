"""The admin's site: with STAFF_TWO_FACTOR it lets in only who has shown a second factor, and asks for one at login."""

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject, cached_property
from unfold.dataclasses import SearchResult
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

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        """The lines of the menu that the request may see; unfold's way to them took a fifth of a page's time."""
        return [
            {
                **group,
                "items": [
                    {"title": line["title"], "link": link, "active": self._is_here(link, request.path)}
                    for line, link in lines
                    if line["permission"](request)
                ],
            }
            for group, lines in self._menu
        ]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """All tables, for who looks at them: most pages show the menu in their place."""
        return SimpleLazyObject(lambda: super(StaffSite, self).get_app_list(request, app_label))

    def _search_apps(self, app_list: list[dict[str, Any]], search_term: str) -> list[SearchResult]:
        """Tables by their names, after those whose line in the menu names the word."""
        links = {
            link: line["title"]
            for _, lines in self._menu
            for line, link in lines
            if any(word.startswith(search_term) for word in line.get("found_by", "").split())
        }
        seen = {model["admin_url"]: app["name"] for app in app_list for model in app["models"]}
        named = [
            SearchResult(title=title, description=seen[link], link=link, icon="tag")
            for link, title in links.items()
            if link in seen
        ]
        found = super()._search_apps(app_list, search_term)
        return named + [result for result in found if result.link not in links]

    @cached_property
    def _menu(self) -> list[tuple[dict[str, Any], list[tuple[dict[str, Any], str]]]]:
        """Its groups, and their lines with their addresses, which are looked up once."""
        groups: list[dict[str, Any]] = settings.UNFOLD["SIDEBAR"]["navigation"]  # type: ignore[index]
        return [(group, [(line, str(line["link"])) for line in group["items"]]) for group in groups]

    @cached_property
    def _first_page(self) -> str:
        return reverse(f"{self.name}:index")

    def _is_here(self, link: str, path: str) -> bool:
        """Whether a page is the one that a line leads to, or below it; everything is below the first page."""
        place = urlsplit(link).path
        return place == path or (place not in ("", "/", self._first_page) and place in path)

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the request may see any page of the admin."""
        user: Any = request.user
        return super().has_permission(request) and (not settings.STAFF_TWO_FACTOR or user.is_verified())

"""Roles of staff: groups of counter's database that every migration brings to what is declared here.

Whoever needs another set of permissions makes a group of his own: these three are restored each time.
"""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.management import create_contenttypes

OURS = ("counter", "acceptance", "settlement", "audit", "cockpit")
GENERATED = ("add_", "change_", "delete_")  # Django's own: everything is read-only, so nobody needs them


def _views(codename: str) -> bool:
    return codename.startswith("view_")


def _operates(codename: str) -> bool:
    return not codename.startswith(("view_", "approve_", *GENERATED))


def _approves(codename: str) -> bool:
    return codename.startswith("approve_")


# Whoever is operator and approver still cannot approve what he asked for himself.
ROLES: dict[str, tuple[Callable[[str], bool], ...]] = {
    "viewer": (_views,),
    "operator": (_views, _operates),
    "approver": (_views, _approves),
}


def fill(*, using: str) -> None:
    """Make the groups, with the permissions that their roles have of our apps."""
    ours = list(Permission.objects.using(using).filter(content_type__app_label__in=OURS))
    for name, grants in ROLES.items():
        group, _ = Group.objects.using(using).get_or_create(name=name)
        group.permissions.set(
            [permission for permission in ours if any(grant(permission.codename) for grant in grants)]
        )


def make_permissions(*, using: str) -> None:
    """Make the permissions of our apps, which Django does only after all migrations have run."""
    for label in OURS:
        if apps.is_installed(label) or label in apps.app_configs:
            app = apps.get_app_config(label)
            create_contenttypes(app, verbosity=0, using=using)
            create_permissions(app, verbosity=0, using=using)


def keep_up(sender: Any, using: str, **signal: Any) -> None:
    """After the last app's migrations: what a release adds is in the roles too."""
    last = [app for app in apps.get_app_configs() if app.models_module is not None][-1]
    if sender is last and using == "default":
        fill(using=using)

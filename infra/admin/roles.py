"""Roles of staff: groups of counter's database that every migration brings to what is declared here.

For another set of permissions make a group of your own: these three are restored each time.
"""

from collections.abc import Callable

from django.apps import apps
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.management import create_contenttypes

GENERATED = ("add_", "change_", "delete_")  # Django's own: everything is read-only, so nobody needs them


def _views(codename: str) -> bool:
    return codename.startswith("view_")


def _operates(codename: str) -> bool:
    return not codename.startswith(("view_", "approve_", *GENERATED))


def _approves(codename: str) -> bool:
    return codename.startswith("approve_")


# An operator who is approver too still cannot approve their own request.
ROLES: dict[str, tuple[Callable[[str], bool], ...]] = {
    "viewer": (_views,),
    "operator": (_views, _operates),
    "approver": (_views, _approves),
}


def fill(*, using: str) -> None:
    """Make the groups, with the permissions that their roles have of our apps."""
    ours = list(Permission.objects.using(using).filter(content_type__app_label__in=settings.STAFF_ROLE_APPS))
    for name, grants in ROLES.items():
        group, _ = Group.objects.using(using).get_or_create(name=name)
        group.permissions.set(
            [permission for permission in ours if any(grant(permission.codename) for grant in grants)]
        )


def make_permissions(*, using: str) -> None:
    """Make the permissions of our apps, which Django does only after all migrations have run."""
    for label in settings.STAFF_ROLE_APPS:
        if apps.is_installed(label) or label in apps.app_configs:
            app = apps.get_app_config(label)
            create_contenttypes(app, verbosity=0, using=using)
            create_permissions(app, verbosity=0, using=using)

"""Members of staff, logged in: with a role, or with single permissions."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client


def staff(name: str, *permissions: str, role: str | None = None, superuser: bool = False) -> Client:
    """A client whose user is staff and has these permissions (codenames) and this role."""
    user: Any = get_user_model().objects.create_user(name, is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    if role is not None:
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client

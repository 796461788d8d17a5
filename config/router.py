"""Two databases: the desk's apps live in `desk`, everything else in `default`; no relation crosses the wall."""

from typing import Any

from django.db.models import Model

DESK_APPS = frozenset({"acceptance", "settlement"})
# Leases lie beside what they guard.
IN_BOTH = frozenset({("config", "lease")})


def _alias(app_label: str) -> str:
    return "desk" if app_label in DESK_APPS else "default"


class TwoSystems:
    """Sends each app's reads, writes and migrations to its own system's database."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return _alias(model._meta.app_label)

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return _alias(model._meta.app_label)

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool:
        return _alias(obj1._meta.app_label) == _alias(obj2._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool:
        return (app_label, model_name) in IN_BOTH or db == _alias(app_label)

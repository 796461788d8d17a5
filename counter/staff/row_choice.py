"""A choice of one row by searching: Django's own fails when it shows a form again whose choice was no id."""

from typing import Any

from django.contrib.admin.widgets import AutocompleteSelect

from infra.admin.readonly import is_number


class RowChoice(AutocompleteSelect):
    """The rows chosen, for showing a form again."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        """The chosen rows among what was sent."""
        return super().optgroups(name, [sent for sent in value if is_number(str(sent))], attr)

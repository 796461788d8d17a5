"""Which contexts a client's answer has: that of each page, and not of each template that a page is made of.

Django's test environment copies the context of every template that is rendered, some 65 for a page of the admin, which
took a fourteenth of the page's CPU.
"""

import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

inside = threading.local()


@pytest.fixture(autouse=True, scope="session")
def only_whole_pages(django_test_environment: None) -> Iterator[None]:
    """Have only the outermost template tell of its context."""
    from django.template.base import Template

    told = vars(Template)["_render"]  # Django's stubs do not know it

    def render(template: Template, context: Any) -> Any:
        if getattr(inside, "is_page", False):
            return template.nodelist.render(context)
        inside.is_page = True
        try:
            return told(template, context)
        finally:
            inside.is_page = False

    with patch.object(Template, "_render", render):
        yield

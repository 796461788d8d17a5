"""The menu leads to every page of the admin that its reader may see, each once, and to no other."""

import pytest
from django.contrib import admin
from django.urls import reverse

from config.settings.menu import NAVIGATION
from tests.support.staff import staff as staff_of

LINKS = [str(item["link"]) for group in NAVIGATION for item in group["items"]]


def test_each_page_of_the_admin_has_one_place():
    lists = {
        reverse(f"admin:{m._meta.app_label}_{m._meta.model_name}_changelist") for m in admin.site._registry
    }
    pages = {
        reverse(name) for name in ("admin:index", "find_order", "risk", "balances", "best_execution", "days")
    }
    assert len(set(LINKS)) == len(LINKS)
    assert {link for link in LINKS if link.startswith("/")} == lists | pages


def test_the_menu_is_in_the_order_of_what_people_come_to_do():
    titles = [group["title"] for group in NAVIGATION]
    assert titles == ["Now", "Orders", "Money", "Venue", "Market", "Risk", "People", "System"]


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
def test_a_role_sees_the_lines_of_what_it_may_see_and_each_leads_somewhere(two_systems, role):
    client = staff_of(role, role=role)
    page = client.get("/admin/").content.decode()
    for link in LINKS:
        if link.startswith("/"):
            is_open = client.get(link).status_code == 200
            assert (f'href="{link}"' in page) is is_open, link

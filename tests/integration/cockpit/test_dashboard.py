"""The admin's first page: whole when there is nothing and when much is wrong; nothing for those who are logged out."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from settlement.models import VenueHalt
from tests.support.cockpit import counted
from tests.support.history import write_history
from tests.support.staff import staff as staff_of


@pytest.fixture
def staff(two_systems):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def text_of(response):
    assert response.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_the_page_of_a_new_installation_is_whole(staff):
    text = text_of(staff.get("/admin/"))
    assert "Orders a minute" in text
    assert "Nothing has been counted yet" not in text  # the page itself took the first rollup
    assert "No order was settled in this time" in text


def test_the_page_shows_what_has_happened_and_refreshes_itself(staff, clock, venue):
    clock.tick()
    write_history(venue)
    totals = counted(clock)
    page = staff.get("/admin/").content.decode()
    [asked] = re.findall(r'id="cockpit"[^>]* hx-get="([^"]+)"', page)
    part = staff.get(asked)
    text = text_of(part)
    assert f"{totals.spread:,.2f}" in text
    assert "submit done –" in text
    assert b"<html" not in part.content
    assert 'src="https://' not in page


def test_every_link_of_a_page_with_concerns_leads_somewhere(staff):
    now = timezone.now()
    VenueHalt.objects.create(venue="binance", reason="<b>refused</b>", began_at=now, ask_at=now)
    page = staff.get("/admin/figures/").content.decode()
    assert "&lt;b&gt;refused" in page
    links = set(re.findall(r'href="(/admin/[^"]+)"', page))
    assert "/admin/settlement/venuehalt/" in links
    for link in links:
        assert staff.get(link).status_code == 200, link


def test_without_the_desks_database_the_page_says_so(staff, desk_away):
    assert "The desk's database does not answer" in text_of(staff.get("/admin/")).replace("&#x27;", "'")


@pytest.mark.django_db(databases=["default", "desk"])
def test_who_is_logged_out_meanwhile_is_sent_to_log_in_and_sees_nothing():
    answer = Client().get("/admin/figures/")
    assert (answer.status_code, answer["HX-Redirect"], answer.content) == (401, "/admin/", b"")


def test_staff_without_a_role_sees_no_figures(two_systems):
    client, viewer = staff_of("eve"), staff_of("vic", role="viewer")
    page = client.get("/admin/")
    assert (page.status_code, page.context["cockpit"]) == (200, None)
    assert "has no role" in text_of(page)
    assert client.get("/admin/figures/").status_code == 403
    assert "Orders a minute" in text_of(viewer.get("/admin/"))
    assert viewer.get("/admin/figures/").status_code == 200


def test_who_is_no_member_of_staff_sees_nothing(two_systems):
    client = Client()
    client.force_login(get_user_model().objects.create_user("customer"))
    assert client.get("/admin/figures/").status_code == 401

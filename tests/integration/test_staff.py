"""Staff: roles that come with the migrations, and a second factor where the setting asks for one."""

import re
import time
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from config import roles

pytestmark = pytest.mark.django_db(databases=["default"])
LOGIN, INSIDE = "/admin/login/", "/admin/password_change/"


def permissions_of(role: str) -> set[str]:
    return set(Group.objects.get(name=role).permissions.values_list("codename", flat=True))


def test_the_roles_are_there_and_do_what_they_are_called():
    viewer, operator, approver = map(permissions_of, ("viewer", "operator", "approver"))
    assert {"view_conversion", "view_syncorder", "view_intervention"} <= viewer
    assert all(codename.startswith("view_") for codename in viewer)
    assert viewer < operator
    assert viewer < approver
    assert {
        "retry_conversion",
        "write_off_fundstransfer",
        "lift_venuehalt",
        "ask_venue_conversion",
    } <= operator
    assert approver - viewer == {"approve_intervention", "approve_indexentry", "approve_resume_trading"}
    assert not (approver - viewer) & operator
    assert {"halt_option", "enter_index", "stop_trading", "issue_apikey"} <= operator
    assert not {codename for codename in operator if codename.startswith(("add_", "change_", "delete_"))}
    assert not any("user" in codename or "group" in codename for codename in operator | approver)


def test_a_migration_brings_the_roles_back_to_what_is_declared():
    Group.objects.get(name="viewer").permissions.add(Permission.objects.get(codename="approve_intervention"))
    Group.objects.get(name="operator").delete()
    own = Group.objects.create(name="night shift")
    roles.make_permissions(using="default")
    roles.fill(using="default")
    test_the_roles_are_there_and_do_what_they_are_called()
    assert own in Group.objects.all()


@pytest.fixture
def ann(settings):
    settings.STAFF_TWO_FACTOR = True
    get_user_model().objects.create_user("ann", password="long and secret", is_staff=True)


def enrol(*arguments: str) -> str:
    out = StringIO()
    call_command("two_factor", "ann", *arguments, stdout=out)
    return out.getvalue()


def log_in(**fields: str) -> Client:
    client = Client()
    client.post(LOGIN, {"username": "ann", "password": "long and secret", **fields})
    return client


def is_in(client: Client) -> bool:
    return client.get(INSIDE).status_code == 200


def token() -> str:
    totp = TOTP(TOTPDevice.objects.get().bin_key)
    totp.time = time.time()
    return f"{totp.token():06d}"


def test_staff_come_in_with_password_and_token_once_each(ann):
    enrol()
    assert not is_in(log_in())
    assert not is_in(log_in(otp_token="000000" if token() != "000000" else "111111"))
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    assert not is_in(log_in(otp_token=token(), password="wrong"))
    used = token()
    assert is_in(log_in(otp_token=used))
    assert not is_in(log_in(otp_token=used))


def test_wrong_tokens_slow_each_other_down(ann):
    enrol()
    wrong = "000000" if token() != "000000" else "111111"
    log_in(otp_token=wrong)
    assert TOTPDevice.objects.get().throttling_failure_count == 1
    # As after many more, each of which doubles the wait: a slow machine must not outlast it.
    TOTPDevice.objects.update(throttling_failure_count=20)
    assert not is_in(log_in(otp_token=token()))


def test_a_recovery_code_is_good_once(ann):
    code = re.findall(r"^  ([a-z2-7]{8})$", enrol(), re.MULTILINE)[0]
    assert is_in(log_in(otp_token=code))
    assert not is_in(log_in(otp_token=code))


def test_without_a_second_factor_nobody_comes_in_and_who_was_in_is_out(ann, settings):
    assert not is_in(log_in(otp_token="123456"))
    settings.STAFF_TWO_FACTOR = False
    client = log_in()
    assert is_in(client)
    settings.STAFF_TWO_FACTOR = True
    assert not is_in(client)
    assert client.post("/admin/settlement/intervention/1/decide/", {"decision": "approve"}).status_code == 302


def test_a_second_factor_is_replaced_on_purpose_only(ann):
    first = enrol()
    with pytest.raises(CommandError, match="--again"):
        enrol()
    old = token()
    assert enrol("--again") != first
    assert not is_in(log_in(otp_token=old)) or old == token()
    with pytest.raises(CommandError, match="no user"):
        call_command("two_factor", "nobody")


def test_the_login_page_asks_for_a_token_where_the_setting_does_and_sends_no_password_back(ann, settings):
    page = Client().post(LOGIN, {"username": "ann", "password": "long and secret"}).content.decode()
    assert "otp_token" in page
    assert "long and secret" not in page
    settings.STAFF_TWO_FACTOR = False
    assert "otp_token" not in Client().get(LOGIN).content.decode()

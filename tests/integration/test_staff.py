"""Staff: roles that come with the migrations, and a second factor where the setting asks for one."""

import re
import time
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework.authtoken.models import Token

from infra.admin import roles
from tests.support.factories import make_customer
from tests.support.staff import staff

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
    assert approver - viewer == {
        "approve_intervention",
        "approve_clearingpayment",
        "approve_dayclose",
        "approve_indexentry",
        "approve_resume_trading",
        "approve_withdrawaldecision",
    }
    assert not (approver - viewer) & operator
    assert {"halt_option", "enter_index", "stop_trading", "issue_apikey", "make_daystatement"} <= operator
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


# --- nobody in the admin gains rights -------------------------------------------------------------------------------

EVERYTHING = {
    "username": "eve",
    "password1": "long and secret 2",
    "password2": "long and secret 2",
    "is_active": "on",
    "is_staff": "on",
    "is_superuser": "on",
    "usable_password": "true",
}


@pytest.mark.parametrize("superuser", [False, True])
def test_staff_set_no_password_no_right_and_no_role_and_see_no_token(superuser):
    mallory = staff("mallory", "change_user", "add_user", "view_user", "change_group", superuser=superuser)
    approver = get_user_model().objects.create_user("ann", password="hers", is_staff=True)
    customer = make_customer().user
    token = Token.objects.create(user=customer)
    me = get_user_model().objects.get(username="mallory")
    group = Group.objects.get(name="approver")
    before = list(get_user_model().objects.order_by("pk").values_list("pk", "password", "is_superuser"))
    for user in (me, approver, customer):
        for path in (f"/admin/auth/user/{user.pk}/change/", f"/admin/auth/user/{user.pk}/password/"):
            answer = mallory.post(path, {**EVERYTHING, "groups": [group.pk]})
            assert answer.status_code in (302, 403, 404)
        shown = mallory.get(f"/admin/auth/user/{user.pk}/change/").content.decode()
        assert "pbkdf2" not in shown
    mallory.post("/admin/auth/user/add/", EVERYTHING)
    some = Permission.objects.get(codename="approve_intervention")
    mallory.post(
        f"/admin/auth/group/{Group.objects.get(name='viewer').pk}/change/", {"permissions": [some.pk]}
    )
    assert before == list(
        get_user_model().objects.order_by("pk").values_list("pk", "password", "is_superuser")
    )
    assert not me.groups.exists()
    assert some not in Group.objects.get(name="viewer").permissions.all()
    for path in (
        "authtoken/tokenproxy/",
        "authtoken/token/",
        f"counter/customer/{customer.customer.pk}/change/",
    ):
        assert token.key not in mallory.get(f"/admin/{path}", follow=True).content.decode()


def test_somebody_is_shut_out_in_the_admin_by_who_may():
    gone = get_user_model().objects.create_user("gone", is_staff=True)
    shut = {"action": "shut_out", "_selected_action": [gone.pk]}
    staff("vera", "view_user").post("/admin/auth/user/", shut)
    gone.refresh_from_db()
    assert gone.is_active
    staff("olga", "view_user", "change_user").post("/admin/auth/user/", shut)
    gone.refresh_from_db()
    assert not gone.is_active


def test_staff_and_their_roles_are_made_at_the_console():
    out = StringIO()
    call_command("staff", "olga", "--role", "operator", stdout=out)
    password = out.getvalue().rsplit(" ", 1)[1].strip()
    olga = get_user_model().objects.get(username="olga")
    assert (olga.check_password(password), olga.is_staff, olga.is_superuser) == (True, True, False)
    call_command("staff", "olga", "--role", "approver", "--inactive", stdout=out)
    olga.refresh_from_db()
    assert [group.name for group in olga.groups.all()] == ["approver"]
    assert (olga.check_password(password), olga.is_active) == (True, False)
    with pytest.raises(CommandError, match="no role"):
        call_command("staff", "olga", "--role", "king")
    customer = make_customer().user
    with pytest.raises(CommandError, match="is a customer"):
        call_command("staff", customer.username, "--role", "viewer")


def test_who_may_look_at_schedules_runs_stops_and_changes_none():
    """The library's own actions ask for no permission."""
    before = list(PeriodicTask.objects.order_by("pk").values("enabled", "last_run_at"))
    looking = staff("vera", "view_periodictask")
    address = "/admin/django_celery_beat/periodictask/"
    assert looking.get(address).status_code == 200
    keys = list(PeriodicTask.objects.values_list("pk", flat=True))
    for action in ("run_tasks", "enable_tasks", "disable_tasks", "delete_selected"):
        looking.post(address, {"action": action, "_selected_action": keys})
    assert looking.post(f"{address}{keys[0]}/change/", {"enabled": ""}).status_code == 403
    assert list(PeriodicTask.objects.order_by("pk").values("enabled", "last_run_at")) == before


def test_who_changes_schedules_names_no_task_argument_queue_or_new_schedule():
    changing = staff(
        "carl",
        *("view_periodictask", "change_periodictask", "add_periodictask", "delete_periodictask"),
        *("add_intervalschedule", "change_intervalschedule"),
    )
    address = "/admin/django_celery_beat/periodictask/"
    schedule = PeriodicTask.objects.get(task="settlement.reconcile")
    slower = IntervalSchedule.objects.exclude(pk=schedule.interval_id).first()
    form = {
        "interval": slower.pk,
        "enabled": "",
        "task": "settlement.rebalance",
        "args": '["ann"]',
        "queue": "x",
    }
    assert changing.post(f"{address}{schedule.pk}/change/", form).status_code == 302
    changed = PeriodicTask.objects.get(pk=schedule.pk)
    assert (changed.interval, changed.enabled) == (slower, False)
    assert (changed.task, changed.args, changed.queue) == (schedule.task, schedule.args, schedule.queue)
    assert changing.post(f"{address}add/", form | {"name": "mine"}).status_code == 403
    assert changing.post(f"{address}{schedule.pk}/delete/", {"post": "yes"}).status_code == 403
    assert changing.get("/admin/django_celery_beat/intervalschedule/add/").status_code == 404
    assert PeriodicTask.objects.filter(pk=schedule.pk).exists()

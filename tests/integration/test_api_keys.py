"""Keys are made by staff and at the console, shown once, kept encrypted, revoked, and exchanged without a stop."""

import logging
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from counter.access import api_keys, sealing
from counter.api.signed_requests import NotSigned, holder_of
from counter.models import ApiKey
from tests.support.factories import make_customer
from tests.support.staff import staff

pytestmark = pytest.mark.django_db
ADD, LIST = reverse("admin:counter_apikey_add"), reverse("admin:counter_apikey_changelist")
SECRET = re.compile(r"cbs_[\w-]{43}")


def asked(of, **fields):
    form = {"customer": of.pk, "label": "bot", "scopes": ["read", "trade"]}
    return form | {"networks": "", "requests_per_second": "", "expires_at_0": "", "expires_at_1": ""} | fields


def everything_stored():
    """All that the tables of keys, of the history and of the sessions hold, as text."""
    with connection.cursor() as cursor:
        told = []
        for table in ("counter_apikey", "django_admin_log", "django_session"):
            cursor.execute(f"SELECT t::text FROM {table} AS t")
            told += [row for (row,) in cursor.fetchall()]
    return "\n".join(told)


# --- staff ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("superuser", [False, True])
def test_staff_offer_a_key_and_the_customer_alone_sees_its_secret_once(caplog, superuser):
    caplog.set_level(logging.DEBUG)
    role = None if superuser else "operator"
    operator, customer = staff("olga", role=role, superuser=superuser), make_customer()
    response = operator.post(
        ADD, asked(customer, networks="192.0.2.0/24\n2001:db8::1", requests_per_second="5"), follow=True
    )
    assert response.status_code == 200
    key = ApiKey.objects.get()
    assert key.encrypted_secret == ""
    assert not SECRET.findall(response.content.decode())
    with pytest.raises(NotSigned):
        holder_of(key.public_id)

    other, visitor = Client(), Client()
    other.force_login(make_customer().user)
    visitor.force_login(customer.user)
    collect = f"/trade/keys/{key.public_id}/secret/"
    for stranger in (other, operator, Client()):
        assert not SECRET.findall(stranger.post(collect, follow=True).content.decode())
    assert key.label in visitor.get("/trade/keys/").content.decode()
    assert visitor.get(collect).status_code == 405
    answer = visitor.post(collect)
    assert "no-store" in answer["Cache-Control"]
    page = answer.content.decode()
    [secret] = SECRET.findall(page)
    key.refresh_from_db()
    assert key.public_id in page
    assert api_keys.secret_of(key.encrypted_secret) == secret
    assert holder_of(key.public_id).secret == secret
    again = visitor.post(collect)
    assert (again.status_code, SECRET.findall(again.content.decode())) == (409, [])
    assert (key.customer, key.scopes, key.requests_per_second) == (customer, ["read", "trade"], 5)
    assert key.networks == ["192.0.2.0/24", "2001:db8::1/128"]
    for path in (LIST, reverse("admin:counter_apikey_change", args=[key.pk]), ADD):
        shown = operator.get(path).content.decode()
        assert secret not in shown
        assert key.encrypted_secret not in shown
    assert secret not in everything_stored() + caplog.text
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("olga", str(key.pk))


@pytest.mark.parametrize(
    "fields",
    [
        {"networks": "192.0.2.1/24"},
        {"networks": "anywhere"},
        {"scopes": []},
        {"scopes": ["withdraw"]},
        {"requests_per_second": "0"},
        {"customer": "0"},
        {"label": ""},
    ],
    ids=repr,
)
def test_a_key_that_makes_no_sense_is_not_made(fields):
    response = staff("olga", role="operator").post(ADD, asked(make_customer(), **fields))
    assert response.status_code == 200
    assert response.context["errors"]
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
def test_a_key_that_is_over_cannot_be_collected(end):
    customer = make_customer()
    key = api_keys.offer(customer_id=customer.pk, label="", scopes=["trade"], now=timezone.now())
    ApiKey.objects.filter(pk=key.pk).update(**{end: timezone.now()})
    with pytest.raises(api_keys.ApiKeyError):
        api_keys.collect(customer_id=customer.pk, public_id=key.public_id, now=timezone.now())


def test_a_person_without_the_permission_makes_and_revokes_no_keys():
    viewer, customer = staff("vera", role="viewer"), make_customer()
    key = issue(customer)
    assert viewer.get(LIST).status_code == 200
    assert viewer.get(ADD).status_code == 403
    assert viewer.post(ADD, asked(customer)).status_code == 403
    viewer.post(LIST, {"action": "revoke", "_selected_action": [key.pk]})
    assert ApiKey.objects.get().revoked_at is None


def test_an_operator_revokes_a_key_and_nobody_changes_one():
    operator, key = staff("olga", role="operator"), issue(make_customer())
    change = reverse("admin:counter_apikey_change", args=[key.pk])
    assert operator.post(change, asked(key.customer, label="mine")).status_code == 403
    operator.post(LIST, {"action": "revoke", "_selected_action": [key.pk]})
    revoked = ApiKey.objects.get()
    assert (revoked.label, revoked.revoked_at is None) == ("bot", False)
    assert LogEntry.objects.get().change_message == "Revoked."
    operator.post(LIST, {"action": "revoke", "_selected_action": [key.pk]})
    assert ApiKey.objects.get().revoked_at == revoked.revoked_at


def issue(customer, **options):
    given = {"label": "bot", "scopes": ["read"], "now": timezone.now()} | options
    return api_keys.issue(customer_id=customer.pk, **given).key


# --- at the console -------------------------------------------------------------------------------------------------


def at_console(*arguments):
    out = StringIO()
    call_command("create_api_key", *arguments, stdout=out)
    return dict(line.split("=", 1) for line in out.getvalue().split())


def test_a_key_is_made_at_the_console():
    customer = make_customer()
    printed = at_console(
        customer.reference,
        "--scopes",
        "read",
        "--ip",
        "192.0.2.1",
        "--ip",
        "10.0.0.0/8",
        "--rate",
        "3",
        "--days",
        "2",
    )
    key = ApiKey.objects.get(public_id=printed["CROSSBOOK_KEY"])
    assert api_keys.secret_of(key.encrypted_secret) == printed["CROSSBOOK_SECRET"]
    assert (key.scopes, key.networks) == (["read"], ["192.0.2.1/32", "10.0.0.0/8"])
    assert key.requests_per_second == 3
    assert key.expires_at - key.created_at == timedelta(days=2)


@pytest.mark.parametrize(
    "arguments", [("nobody",), ("--scopes", "all"), ("--scopes", ""), ("--ip", "1"), ("--rate", "0")]
)
def test_the_console_says_what_is_wrong(arguments):
    reference = [] if arguments == ("nobody",) else [make_customer().reference]
    with pytest.raises(CommandError):
        at_console(*reference, *arguments)
    assert not ApiKey.objects.exists()


# --- what they are encrypted with -----------------------------------------------------------------------------------


def test_what_keys_are_encrypted_with_is_exchanged_by_a_list(settings):
    settings.API_KEYS_SECRET = "old"
    issued = api_keys.issue(customer_id=make_customer().pk, label="", scopes=["read"], now=timezone.now())
    api_keys.offer(customer_id=make_customer().pk, label="", scopes=["read"], now=timezone.now())
    settings.API_KEYS_SECRET = "new, old"
    assert api_keys.secret_of(ApiKey.objects.get(pk=issued.key.pk).encrypted_secret) == issued.secret
    call_command("encrypt_api_keys", stdout=StringIO())
    settings.API_KEYS_SECRET = "new"
    assert api_keys.secret_of(ApiKey.objects.get(pk=issued.key.pk).encrypted_secret) == issued.secret


def test_a_secret_that_cannot_be_read_is_left_as_it_is(settings):
    kept = [issue(make_customer()).encrypted_secret]
    settings.API_KEYS_SECRET = "another"
    issue(make_customer())
    with pytest.raises(CommandError, match="nothing was changed"):
        call_command("encrypt_api_keys", stdout=StringIO())
    assert ApiKey.objects.order_by("pk").first().encrypted_secret == kept[0]
    with pytest.raises(sealing.SecretUnreadable):
        api_keys.secret_of(kept[0])


def test_no_secret_is_shown_by_what_holds_one():
    issued = api_keys.issue(customer_id=make_customer().pk, label="", scopes=["read"], now=timezone.now())
    assert issued.secret not in f"{issued!r} {issued} {issued.key!r}"

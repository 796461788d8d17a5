"""What customers do with their account by themselves: another password, API keys of their own."""

import pytest
from django.test import Client

from counter.api import logins
from counter.models import ApiKey
from tests.support.visiting import words_in
from trade.api_keys import MOST_OF_ONE

PASSWORD, ANOTHER = "correct horse 1 battery", "four plain words 7"


@pytest.fixture
def owner(visitor):
    visitor.customer.user.set_password(PASSWORD)
    visitor.customer.user.save()
    visitor.http = Client()
    visitor.http.force_login(visitor.customer.user)
    return visitor


def change(owner, old=PASSWORD, new=ANOTHER, again=None):
    fields = {"old_password": old, "new_password1": new, "new_password2": again or new}
    return owner.http.post("/trade/password/", fields)


def test_password_is_changed_and_every_other_session_ends(owner):
    elsewhere = Client()
    elsewhere.force_login(owner.customer.user)
    answer = change(owner)
    assert "Your password is changed." in words_in(answer.content.decode())
    assert owner.http.get("/trade/book/").status_code == 200
    assert elsewhere.get("/trade/book/").status_code == 302
    owner.customer.user.refresh_from_db()
    assert owner.customer.user.check_password(ANOTHER)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"old": "guess"}, "That is not your password."),
        ({"new": "short"}, "at least 12 characters"),
        ({"again": "something else 9"}, "The two password fields didn"),
    ],
)
def test_a_password_that_is_not_changed_says_why(owner, given, told):
    answer = change(owner, **given)
    assert answer.status_code == 409
    assert told in words_in(answer.content.decode())
    owner.customer.user.refresh_from_db()
    assert owner.customer.user.check_password(PASSWORD)


def test_the_old_password_cannot_be_guessed_on_an_open_page(owner, monkeypatch):
    monkeypatch.setattr(logins, "TRIES_AT_ONCE", 2)
    monkeypatch.setattr(logins, "ADDRESS_AGAIN_AFTER_SECONDS", 3600)
    for _ in range(2):
        assert "That is not your password." in words_in(change(owner, old="guess").content.decode())
    assert "Too many tries" in words_in(change(owner).content.decode())
    assert "Too many tries" in words_in(make(owner).content.decode())


def make(owner, **changes):
    fields = {"label": "bot", "scopes": ["read", "trade"], "days": "30", "networks": "", "password": PASSWORD}
    return owner.http.post("/trade/keys/", {**fields, **changes})


def test_a_key_is_made_with_the_password_and_its_secret_is_shown_once(owner):
    answer = make(owner, networks="192.0.2.0/24, 198.51.100.7")
    key = ApiKey.objects.get(customer=owner.customer)
    html = answer.content.decode()
    assert key.public_id in html
    assert "cbs_" in html
    assert (key.scopes, key.networks) == (["read", "trade"], ["192.0.2.0/24", "198.51.100.7/32"])
    assert (key.expires_at - key.created_at).days == 30
    assert "cbs_" not in owner.get("keys/")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"password": "guess"}, "that is not your password"),
        ({"label": " "}, "a key needs a name"),
        ({"scopes": []}, "one or more of the scopes"),
        ({"scopes": ["withdraw"]}, "one or more of the scopes"),
        ({"days": "366"}, "a key lasts 1 to 365 days"),
        ({"networks": "home"}, "does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_a_key_that_is_not_made_says_why(owner, changes, told):
    answer = make(owner, **changes)
    assert answer.status_code == 409
    assert told in words_in(answer.content.decode())
    assert not ApiKey.objects.exists()


def test_a_customer_has_only_so_many_keys_and_revokes_their_own_only(owner, another, monkeypatch):
    monkeypatch.setattr(logins, "TRIES_AT_ONCE", 100)
    for _ in range(MOST_OF_ONE):
        assert make(owner).status_code == 200
    assert "revoke one that is not used any more" in words_in(make(owner).content.decode())
    key = ApiKey.objects.first()
    another.http = Client()
    another.http.force_login(another.customer.user)
    assert another.http.post(f"/trade/keys/{key.public_id}/revoke/").status_code == 404
    assert owner.http.post(f"/trade/keys/{key.public_id}/revoke/").status_code == 200
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert make(owner).status_code == 200

"""What travels through the broker is believed for its MAC alone: of our keys, for one purpose, of one stack."""

import json

import pytest
from celery.worker.consumer.gossip import Gossip

from config.celery import app, hear_no_gossip
from config.stack_name import stack_name
from infra.broker.message_signing import KEY_ID, MAC, SYNC, TASK, NotOurs, check_mac, mac_headers
from infra.broker.signed_tasks import _signed, sign

BODY = b'{"events":[]}'


def test_our_own_message_is_taken(settings):
    check_mac(BODY, mac_headers(BODY, purpose=SYNC), purpose=SYNC)


@pytest.mark.parametrize("headers", [{}, {KEY_ID: "x"}, {MAC: "x"}, {KEY_ID: 1, MAC: b"x"}])
def test_what_is_not_signed_is_refused(headers):
    with pytest.raises(NotOurs, match="not signed"):
        check_mac(BODY, headers, purpose=SYNC)


@pytest.mark.parametrize("place", range(len(BODY)))
def test_each_changed_byte_is_seen(place):
    changed = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
    with pytest.raises(NotOurs, match="changed"):
        check_mac(changed, mac_headers(BODY, purpose=SYNC), purpose=SYNC)


@pytest.mark.parametrize("mac", ["", "0" * 64, "\udce4"])
def test_a_guessed_mac_is_refused(mac):
    with pytest.raises(NotOurs):
        check_mac(BODY, {**mac_headers(BODY, purpose=SYNC), MAC: mac}, purpose=SYNC)


def test_a_mac_is_good_for_one_purpose_and_one_stack(settings):
    signed = mac_headers(BODY, purpose=SYNC)
    with pytest.raises(NotOurs, match="key that this stack has not"):
        check_mac(BODY, signed, purpose=TASK)
    settings.STACK_NAME = "another"
    with pytest.raises(NotOurs, match="another stack"):
        check_mac(BODY, signed, purpose=SYNC)


def test_keys_are_exchanged_without_a_refused_message(settings):
    settings.SERVICE_KEY = "old"
    by_old = mac_headers(BODY, purpose=SYNC)
    for given in ("old,new", "new,old"):
        settings.SERVICE_KEY = given
        check_mac(BODY, by_old, purpose=SYNC)
    by_new = mac_headers(BODY, purpose=SYNC)
    settings.SERVICE_KEY = "new"
    check_mac(BODY, by_new, purpose=SYNC)
    with pytest.raises(NotOurs, match="key that this stack has not"):
        check_mac(BODY, by_old, purpose=SYNC)


def databases(host: str, name: str = "crossbook") -> dict[str, dict[str, str]]:
    return {alias: {"HOST": host, "PORT": "", "NAME": name} for alias in ("default", "desk")}


def test_stacks_with_other_databases_have_other_names_and_the_same_have_the_same(monkeypatch):
    def name(host: str, database: str = "crossbook") -> str:
        return stack_name(given="", source="crossbook", databases=databases(host, database))

    names = {name(host) for host in ("db1", "db2", "/a/run", "/b/run", "127.0.0.1", "")} | {name("db1", "x")}
    assert len(names) == 7
    assert name("db1") == name("db1")
    here = {host: name(host) for host in ("db1", "localhost", "/a/run")}
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert {host for host, was in here.items() if name(host) == was} == {"db1"}


def test_workers_hear_no_gossip_by_which_a_stranger_would_have_tasks_signed(monkeypatch):
    monkeypatch.setattr(Gossip, "compatible_transports", Gossip.compatible_transports)
    hear_no_gossip()
    assert not Gossip.compatible_transport(Gossip, app)


def test_a_signed_task_cannot_be_turned_into_another():
    body = ([], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None})
    headers: dict[str, object] = {"task": "settlement.report", "id": "1", "sent_at": None}
    sign(body, headers)
    raw = json.dumps(body).encode()
    check_mac(_signed(raw, headers), headers, purpose=TASK)
    for changed in ({"task": "settlement.reconcile"}, {"id": "2"}, {"sent_at": "2999"}):
        with pytest.raises(NotOurs):
            check_mac(_signed(raw, headers | changed), headers, purpose=TASK)

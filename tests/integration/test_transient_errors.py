"""A database that answers "not now", a session that is read-only after a failover above all: every door says so, and
each recovers by itself once the database does."""

import json
import time

import psycopg
import pytest
from celery import current_app
from django.contrib.auth import get_user_model
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
)
from django.test import Client
from django.utils import timezone
from psycopg import errors

from acceptance import deliveries
from acceptance.models import AcceptedOrder
from config.asgi import THREADS
from config.settings.places import database_of
from counter.access.admission import Admissions, Asking, admissions
from counter.access.rate_limit import of_customer
from counter.models import SyncOrder
from counter.orders.queue import OutcomeUnknown, order_queue
from infra.coordination.leadership import Leadership
from infra.db.engine.base import DatabaseWrapper
from infra.db.engine.hosts import REFUSED_FOR_SECONDS
from infra.db.transient_errors import is_transient
from tests.support.api import Caller, error_of
from tests.support.asgi import AsgiClient
from tests.support.databases import failover
from tests.support.desk_bench import event
from tests.support.factories import make_customer, make_option
from tests.support.queueing import accepted, opening, until
from tests.support.signing import signed_headers, wallet_client

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])


@pytest.fixture(autouse=True)
def new_threads():
    """The queues of this process begin with connections of their own, and leave none."""
    yield
    order_queue.stop()
    admissions.stop()


STATES = {
    "08006": True,
    "25006": True,
    "25P03": True,
    "40001": True,
    "40P01": True,
    "53100": True,
    "53200": True,
    "53300": True,
    "55P03": True,
    "57014": True,
    "57P01": True,
    "57P02": True,
    "57P03": True,
    "58030": True,
    "22003": False,
    "23505": False,
    "25P02": False,
    "42P01": False,
    "54000": False,  # it would never do: what was asked is too large
    "XX001": False,
}


@pytest.mark.parametrize(("state", "passes"), STATES.items())
def test_the_state_and_not_the_class_of_the_error_tells_whether_it_passes(state, passes):
    with pytest.raises(DatabaseError) as raised, connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$")
    assert is_transient(raised.value) is passes
    assert is_transient(raised.value.__cause__) is passes


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError, psycopg.OperationalError])
def test_a_server_that_is_not_reached_passes(kind):
    assert is_transient(kind("connection refused"))


@pytest.mark.parametrize("error", [DataError("x"), IntegrityError("x"), ValueError("x"), errors.Error("x")])
def test_what_is_wrong_with_what_was_asked_does_not_pass(error):
    assert not is_transient(error)


# --- counter ----------------------------------------------------------------------------------------------------------


def test_orders_are_refused_as_unavailable_and_placed_once_the_primary_is_back():
    customer, option = make_customer(), make_option()
    caller = Caller(customer, door="fast_path")
    order = {"type": "open", "client_order_id": "a", "symbol": option.symbol, "contracts": 1}
    assert caller.post("orders", order | {"client_order_id": "before"}).status_code == 201
    with failover("default") as [host]:
        for _ in range(3):
            refused = caller.post("orders", order)
            assert error_of(refused, 503)["code"] in ("unavailable", "overloaded")
            assert "Retry-After" in refused
        host.over()
        answers = [caller.post("orders", order) for _ in range(2)]
    assert 201 in [answer.status_code for answer in answers], [answer.content for answer in answers]
    assert SyncOrder.objects.filter(client_order_id="a").count() == 1


def test_the_order_queue_looks_for_the_primary_with_its_next_batch():
    option = make_option()
    first, *unlucky, last = [opening(option) for _ in range(4)]
    accepted(order_queue.place([first]))
    with failover("default") as [host]:
        for request in unlucky:  # the first finds its connection ended, the second one that is read-only
            with pytest.raises(OutcomeUnknown):
                order_queue.place([request])
        host.over()
        accepted(order_queue.place([last]))


def test_several_hosts_in_one_url_are_asked_for_the_one_that_takes_writes():
    parts = connections["default"].settings_dict
    hosts = f"/nowhere,{parts['HOST']}"
    url = f"postgresql://{parts['USER']}@/{parts['NAME']}?host={hosts}&target_session_attrs=read-write"
    wrapper = DatabaseWrapper({**parts, **database_of(url)}, "default")
    assert wrapper.settings_dict["HOST"] == hosts
    with failover("default") as [host]:
        with pytest.raises(OperationalError, match="read-only"):
            wrapper.ensure_connection()
        host.over()
        time.sleep(REFUSED_FOR_SECONDS)  # after which they are asked again
        wrapper.ensure_connection()
        assert wrapper.is_usable()
        wrapper.close()


def test_what_reads_and_what_writes_through_the_framework_recovers_on_its_kept_connections():
    caller, option = Caller(make_customer()), make_option()
    web = AsgiClient(headers={"Authorization": f"Token {caller.token}"})
    firm = json.dumps({"side": "open", "symbol": option.symbol, "contracts": 1})
    deposit = json.dumps(
        {"customer": caller.customer.user.username, "amount": "5", "reference": "d-1"}
    ).encode()
    path = "/wallet/v1/deposits"

    def answers() -> dict[str, int]:
        read = web.request("GET", "/api/v1/orders", pieces=[{"type": "http.request"}])
        signature = signed_headers("POST", path, deposit, **wallet_client().signature)
        return {
            "read": read.status_code,
            "firm": web.post("/api/v1/quotes", firm).status_code,
            "deposit": web.post(path, deposit, headers=signature).status_code,
        }

    assert answers() == {"read": 200, "firm": 201, "deposit": 201}
    with failover("default") as [host]:
        for _ in range(THREADS):
            assert answers() == {"read": 200, "firm": 503, "deposit": 503}
        host.over()
        for _ in range(THREADS):
            assert answers() in [{"read": 200, "firm": 201, "deposit": status} for status in (200, 201)]


def test_a_page_says_so_to_people():
    get_user_model().objects.create_superuser("operator", password="right-0-right")
    login = {"username": "operator", "password": "right-0-right"}
    with failover("default") as [host]:
        refused = Client(raise_request_exception=False).post("/admin/login/", login)
        assert (refused.status_code, refused["Retry-After"]) == (503, "1")
        assert refused["Content-Type"].startswith("text/html")
        host.over()
        assert Client().post("/admin/login/?next=/admin/", login).status_code == 302


def test_readyz_says_that_a_read_only_session_takes_no_orders_and_does_not_keep_it():
    assert Client().get("/readyz").json()["ready"] is True
    with failover("default") as [host]:
        for _ in range(2):
            refused = Client().get("/readyz")
            assert refused.status_code == 503
        assert refused.json()["checks"]["database"]["error"] == "ReadOnly"
        host.over()
        assert Client().get("/readyz").json()["checks"]["database"]["ok"] is True


def test_admissions_go_on_and_recover():
    admissions = Admissions()
    limit = of_customer(make_customer().pk, per_second=1, at_once=10)
    assert admissions.admit(Asking(None, (limit,))) is not None
    with failover("default") as [host]:
        assert admissions.admit(Asking(None, (limit,))) is None
        host.over()
        until(lambda: admissions.admit(Asking(None, (limit,))) is not None)
    admissions.stop()


# --- the desk ---------------------------------------------------------------------------------------------------------


def test_intake_takes_no_message_for_poison_while_its_database_is_read_only():
    leading = Leadership("intake", using="desk")
    leading.start()
    try:
        until(lambda: leading.term)
        some = [deliveries.Delivery(object(), [event()]) for _ in range(4)]
        with failover("desk") as [host]:
            with pytest.raises(DatabaseError) as raised:
                deliveries.take(some, now=timezone.now(), term=leading.term or pytest.fail("leads"))
            assert is_transient(raised.value)
            host.over()
        until(lambda: leading.term)
        connections["desk"].close()
        taken = deliveries.take(some, now=timezone.now(), term=leading.term)
    finally:
        leading.stop()
    assert taken.poison == []
    assert AcceptedOrder.objects.count() == 4


def test_a_task_fails_while_its_session_is_read_only_and_the_next_one_does_its_work():
    current_app.loader.import_default_modules()
    task = current_app.tasks["config.canary"]
    sent = {"sent_at": timezone.now().isoformat()}

    def run():
        return task.apply(args=["settle"], headers=sent)

    assert run().successful()
    with failover("default") as [host]:
        assert run().failed()
        host.over()
        assert run().successful()


def test_a_leader_that_may_not_write_lets_go_and_leads_again():
    leading = Leadership("test", using="default")
    leading.start()
    try:
        until(lambda: leading.term)
        with failover("default") as [host]:
            until(lambda: leading.term is None)
            host.over()
            until(lambda: leading.term)
    finally:
        leading.stop()

"""A ledger as CSV from the running web program: in constant memory, and nobody who leaves or lags is in the way."""

import socket
from datetime import timedelta

import psutil
import psycopg
import pytest
import requests
from django.db import connection
from django.utils import timezone
from rest_framework.authtoken.models import Token

from counter.models import Account
from tests.support.databases import conninfo
from tests.support.factories import make_customer
from tests.support.web import SOON
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

LONG, SHORT = 150_000, 30_000  # entries: more than sockets hold, and more than is sent before a client leaves
# The server may take what nobody reads until the ledger ends; a machine with other work takes its time for it.
GIVEN_BACK_SECONDS = 60
FILL = """
    INSERT INTO counter_transfer (debit_account_id, credit_account_id, asset, amount, kind, balance_after, created_at)
    SELECT 3, %s, 'USDT', 1, 'deposit', 100000 + n, %s FROM generate_series(1, %s) AS n
"""


def token_of(*, entries):
    """Of a customer with so long a ledger."""
    customer = make_customer()
    with connection.cursor() as cursor:
        cursor.execute(FILL, [Account.objects.get(customer=customer).pk, timezone.now(), entries])
    return Token.objects.create(user=customer.user).key


def ask(web, token, **options):
    since = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return requests.get(
        f"{web.url}/api/v1/ledger.csv",
        params={"from": since},
        headers={"Authorization": f"Token {token}"},
        timeout=60,
        **options,
    )


def memory_mb(web):
    """Resident, of the program and the processes that it has started."""
    program = psutil.Process(web.process.pid)
    return sum(process.memory_info().rss for process in [program, *program.children(recursive=True)]) / 2**20


def leave_after_the_first_line(web, token):
    """Ask, read a little, and hang up."""
    since = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(
            f"GET /api/v1/ledger.csv?from={since} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Token {token}\r\n\r\n".encode()
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_long_ledger_is_read_whole_in_constant_memory(web):
    token, short = token_of(entries=LONG), token_of(entries=1)
    for _ in range(
        20
    ):  # each process of the program has answered then, which loads what it had not needed before
        assert ask(web, short).status_code == 200
    before = memory_mb(web)
    with ask(web, token, stream=True) as answer:
        lines = sum(part.count(b"\n") for part in answer.iter_content(2**16))
    assert lines == 1 + 1 + LONG  # the heading, the deposit of the factory
    assert memory_mb(web) - before < 20


def test_a_client_that_hangs_up_gives_its_place_back(web):
    token = token_of(entries=SHORT)
    for _ in range(6):
        assert wait_until(lambda: leaves(web, token), within_seconds=GIVEN_BACK_SECONDS)
    assert wait_until(lambda: ask(web, token).status_code == 200, within_seconds=GIVEN_BACK_SECONDS)


def leaves(web, token):
    try:
        leave_after_the_first_line(web, token)
    except AssertionError:  # both places are still taken
        return False
    return True


def test_who_does_not_read_keeps_nobody_else_waiting(web):
    """Each process of the program has its own places; once all are taken, the next one is told so."""
    token = token_of(entries=LONG)
    lagging = []
    try:
        while (answer := ask(web, token, stream=True)).status_code == 200:
            lagging.append(answer)
            assert len(lagging) < 20
        assert answer.status_code == 503
        for _ in range(30):
            answer = requests.get(
                f"{web.url}/api/v1/ledger", headers={"Authorization": f"Token {token}"}, timeout=SOON
            )
            assert answer.status_code == 200
    finally:
        for answer in lagging:
            answer.close()


def test_a_download_that_breaks_off_is_not_taken_for_a_whole_one(web):
    token = token_of(entries=LONG)
    with ask(web, token, stream=True) as answer:
        parts = answer.iter_content(2**10)
        next(parts)
        with psycopg.connect(conninfo("default"), autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%counter_transfer%'"
            )
        with pytest.raises(requests.RequestException):
            list(parts)

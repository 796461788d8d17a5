"""Poison, with each broker: what cannot be taken in is put aside where a person sees it, and stops no others."""

from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections

from acceptance.models import AcceptedOrder, Conflict
from infra.broker import connection as brokers
from infra.broker import dead_letters as dead
from infra.broker.connection import DELIVERIES, dead_letter_queue, message_queue
from infra.broker.dead_letters import DeadLetter, dead_letters
from tests.support.desk_bench import event
from tests.support.streaming import accepted, batch, place, until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

UNREADABLE = (b"{", b'{"events": [{}]}', b"\xff", b"[" * 100_000, b'{"events": [], "version": 2}')


@pytest.fixture
def refused() -> Iterator[Callable[[str, str], None]]:
    """Have the database refuse orders of a symbol, with an error that it calls by the given name."""

    def refuse(symbol: str, sqlstate: str) -> None:
        with connections["desk"].cursor() as cursor:
            cursor.execute(
                f"""
                CREATE SEQUENCE refusals;
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF NEW.symbol = '{symbol}' AND ('{sqlstate}' < '57000' OR nextval('refusals') <= 2) THEN
                        RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}';
                    END IF;
                    RETURN NEW;
                END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON acceptance_acceptedorder
                FOR EACH ROW EXECUTE FUNCTION refuse();
                """
            )

    yield refuse
    with connections["desk"].cursor() as cursor:
        cursor.execute("DROP FUNCTION IF EXISTS refuse() CASCADE; DROP SEQUENCE IF EXISTS refusals")


def seen(count: int) -> list[DeadLetter]:
    """What a look saw that saw so many: a broker puts back what was looked at in its own time."""
    looks: list[list[DeadLetter]] = []

    def look() -> bool:
        looks.append(dead_letters())
        return len(looks[-1]) == count

    until(look)
    return looks[-1]


def test_messages_that_cannot_be_read_become_dead_letters_and_stop_no_others(intake, mq, queue_only):
    mq.publish(*UNREADABLE, batch(event(coin="1E+15")))
    mq.publish(b"x", content_type="application/x-python-serialize")
    ids = place()
    until(lambda: accepted(ids))
    assert {letter.body for letter in seen(6)} == {*UNREADABLE, b"x"}
    assert [conflict.reason for conflict in Conflict.objects.all()] == ["invalid"]  # readable: kept aside
    until(lambda: mq.depth(message_queue().name) == 0 and mq.unacknowledged() == 0)


@pytest.mark.parametrize(
    "sqlstate", ["22003", "23514", "54000"]
)  # out of range, a check, too large a statement
def test_what_the_database_refuses_becomes_a_dead_letter_and_can_be_sent_again(
    intake, mq, queue_only, refused, sqlstate
):
    refused("POISON", sqlstate)
    good = [event() for _ in range(9)]
    poison = event(symbol="POISON")
    messages = [batch(each) for each in good]
    messages.insert(4, batch(poison, good[0]))
    mq.publish(*messages)
    until(lambda: accepted([each.order_id for each in good]))
    [letter] = seen(1)
    assert letter.body == batch(poison, good[0])
    assert "refused" in letter.reason
    until(lambda: mq.depth(message_queue().name) == 0 and mq.unacknowledged() == 0)
    until(lambda: mq.depth(dead_letter_queue().name) == 1)

    with connections["desk"].cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse ON acceptance_acceptedorder")
    said = StringIO()
    call_command("dead_letters", stdout=said)
    assert "refused" in said.getvalue()
    call_command("dead_letters", "--replay", stdout=said)
    until(lambda: accepted([poison.order_id]))
    assert dead_letters() == []
    assert AcceptedOrder.objects.count() == 10


def test_a_database_that_is_away_makes_no_dead_letters(intake, mq, queue_only, refused):
    refused("LATE", "57P03")  # twice
    late = event(symbol="LATE")
    mq.publish(batch(late), batch(event()))
    until(lambda: accepted([late.order_id]))
    assert dead_letters() == []


@pytest.fixture
def three_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for before the intake process, which makes the queue."""
    for module in (brokers, dead):
        monkeypatch.setattr(module, "DEAD_LETTERS", 3)


def test_of_too_many_dead_letters_the_oldest_go(three_at_most, intake, mq):
    last = event()
    mq.publish(*(str(number).encode() for number in range(5)), batch(last))
    until(lambda: accepted([last.order_id]))  # looking earlier holds back what is counted
    for _ in range(2):  # looking takes none away
        until(lambda: [letter.body for letter in dead_letters()] == [b"2", b"3", b"4"])
    call_command("dead_letters", "--discard", stdout=StringIO())
    assert dead_letters() == []


# Redis counts no deliveries: there such a message comes back each minute.
@pytest.mark.parametrize("url", ["rabbitmq"], indirect=True, scope="module")
def test_a_message_that_kills_each_reader_is_given_up_by_rabbitmq(intake, mq):
    intake.stop()  # it has declared the queues
    mq.publish(b"deadly")
    for _ in range(DELIVERIES + 1):
        mq.read_and_die()
    [letter] = seen(1)
    assert letter.body == b"deadly"
    assert "too many deliveries" in letter.reason


def test_dead_letters_that_are_sent_again_find_a_queue_though_the_broker_had_lost_it(mq):
    with brokers.connect() as connection:
        dead._publish(connection, dead._declared(connection).name, batch(event()), headers={})
    assert dead.replay() == 1
    assert mq.depth(message_queue().name) == 1

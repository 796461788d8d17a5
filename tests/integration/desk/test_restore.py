"""Yesterday's backup of the desk beside a venue of today: what was executed since is found, and nothing is sent twice.

The real dumps and the real restore, of this worker's test databases.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

from config.stack import backups
from settlement import balancing, restoring
from settlement.halts import VenueHalted
from settlement.models import Conversion
from tests.support.databases import environment
from tests.support.desk_bench import Desk, assert_settled_once, event, order_states, states, take_in

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True, databases=["default", "desk"])]

LATER_SECONDS = 120.0


def back_up(folder: Path) -> Path:
    urls = backups.urls(folder, environment())
    return backups.take(urls=urls, var_dir=folder, to=folder / "backups", now=datetime.now(UTC))


def put_back(backup: Path) -> None:
    connections.close_all()
    backups.restore(urls=backups.urls(backup, environment()), backup=backup, now=datetime.now(UTC))


def released(desk: Desk) -> list[restoring.Forgotten]:
    return restoring.release_if_nothing_is_forgotten(venue=desk.venue, now=timezone.now())


def convert_and_book(desk: Desk) -> Conversion:
    made = desk.convert()
    assert balancing.book(made, now=timezone.now())
    return made


def test_what_was_being_sent_at_the_backup_is_asked_for_and_not_sent_again(desk, tmp_path):
    taken: list[Path] = []
    desk.venue.before_submit = lambda client_order_id: taken.append(back_up(tmp_path))
    take_in(event())
    convert_and_book(desk)
    put_back(taken[0])
    assert (states(), order_states()) == (["SUBMITTED"], {"CONVERTING"})
    desk.resume(after=LATER_SECONDS)
    assert states() == ["SUBMITTED"], "held"
    assert released(desk) == []
    desk.resume(after=LATER_SECONDS)
    assert_settled_once(desk, venue_orders=1)


def test_what_was_sent_after_the_backup_is_not_sent_again_and_is_shown(desk, tmp_path):
    take_in(event(coin="0.02"))
    backup = back_up(tmp_path)
    made = convert_and_book(desk)
    put_back(backup)
    assert (states(), order_states()) == ([], {"RECEIVED"}), "it waits as if nobody had sent it"
    refused_to_send(desk.convert)
    desk.resume(after=LATER_SECONDS)
    [forgotten] = released(desk)
    assert (forgotten.client_order_id, forgotten.coin) == (made.client_order_id, made.quantity)
    refused_to_send(desk.convert)
    assert len(desk.venue_has("orders")) == 1


def test_a_desk_of_which_nothing_was_forgotten_goes_on(desk, tmp_path):
    take_in(event())
    backup = back_up(tmp_path)
    put_back(backup)
    refused_to_send(desk.convert)
    assert released(desk) == []
    convert_and_book(desk)
    assert_settled_once(desk, venue_orders=1)


def refused_to_send(send: Callable[[], object]) -> None:
    with pytest.raises(VenueHalted, match="restored from a backup"):
        send()

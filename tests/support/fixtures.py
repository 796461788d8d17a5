"""Fixtures of `tests.support`; see the package's docstring. Django is imported late: this loads before its set-up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.venue import PaperVenue

if TYPE_CHECKING:
    from settlement.venues.ccxt_venue import CcxtVenue
    from tests.support.history import History
    from tests.support.kept_history import KeptHistory
    from tests.support.web import Programs, Web


@pytest.fixture(autouse=True)
def clocks_known() -> None:
    """Have both clocks known, as in a process that has connected: many a test has no database to ask."""
    from infra.coordination import clock

    for each in (clock.of("default"), clock.of("desk")):
        moment = clock.steady()
        each.observe(datetime.now(UTC), asked=moment, answered=moment)


@pytest.fixture(autouse=True, scope="session")
def no_kept_answers() -> None:
    """Tests see at once what they have changed; those of what is kept say for how long."""
    from counter.api import kept_answers

    kept_answers.GOOD_FOR = timedelta(0)


@pytest.fixture(scope="session")
def paper_venue() -> Iterator[PaperVenue]:
    """The paper venue's process of this worker, started by the first test that needs one."""
    venue = PaperVenue.start()
    yield venue
    venue.stop()


@pytest.fixture(scope="session")
def kept_history(paper_venue: PaperVenue) -> "KeptHistory":
    """What `written_history` puts back."""
    from tests.support.kept_history import KeptHistory

    return KeptHistory(paper_venue)


@pytest.fixture
def put_back(request: pytest.FixtureRequest) -> "KeptHistory | None":
    """The history that this test begins with, if there is one to put back."""
    if "written_history" not in request.fixturenames:
        return None
    kept: KeptHistory = request.getfixturevalue("kept_history")
    return kept if kept.account else None


@pytest.fixture
def venue_account(paper_venue: PaperVenue, put_back: "KeptHistory | None") -> tuple[str, str, str]:
    """Name, key and secret of this test's account at the paper venue."""
    return (put_back and put_back.account) or paper_venue.next_account()


def account_of(paper_venue: PaperVenue, account: tuple[str, str, str] | None = None) -> "CcxtVenue":
    """The real adapter on one account of the paper venue, a fresh one unless told."""
    from settlement.venues.ccxt_venue import CcxtVenue

    _, key, secret = account or paper_venue.next_account()
    return CcxtVenue(
        client="binance", url=paper_venue.url, api_key=key, api_secret=secret, timeout_seconds=3.0
    )


@pytest.fixture
def venue(paper_venue: PaperVenue, venue_account: tuple[str, str, str]) -> "Iterator[CcxtVenue]":
    """The real adapter on this test's own account; faults, bans and pinned prices end with the test."""
    from infra.exchange.host_breaker import Breaker
    from tests.support.desk_bench import as_if_later

    as_if_later(None)
    Breaker(paper_venue.url).forget()
    yield account_of(paper_venue, venue_account)
    as_if_later(None)
    Breaker(paper_venue.url).forget()
    paper_venue.calm()


@pytest.fixture
def somebody(paper_venue: PaperVenue, venue_account: tuple[str, str, str]) -> Any:
    """Somebody else who trades on the desk's own account, as an exchange of ccxt."""
    from infra.exchange.client import new_exchange

    _, key, secret = venue_account
    exchange = new_exchange(
        client="binance", url=paper_venue.url, timeout_seconds=3, apiKey=key, secret=secret
    )
    exchange.load_markets()
    return exchange


@pytest.fixture(scope="session")
def programs(
    django_db_setup: None, broker: str, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Programs]":
    """The web and stream programs of this worker, which its tests share."""
    from tests.support.web import Programs

    made = Programs(tmp_path_factory.mktemp("programs"))
    yield made
    made.stop()


@pytest.fixture
def web(transactional_db: None, programs: "Programs") -> "Web":
    """The web program, shared with other tests; quotes stay fresh for a day."""
    return programs.web()


@pytest.fixture
def programs_ended(programs: "Programs") -> None:
    """No program is connected to the databases, as a restore needs it; the next test that wants one starts it."""
    programs.stop()


@pytest.fixture
def promised_deadline(settings: Any) -> None:
    """An order is decided within what its customers are promised, not within what a busy machine needs."""
    from tests.support.web import PROMISED_SECONDS

    settings.ORDER_WITHIN_SECONDS = PROMISED_SECONDS


@pytest.fixture
def sessions_remembered(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions and users stay in this process: to read both for each request costs a third of a page of the admin."""
    from django.contrib.auth.backends import ModelBackend

    users: dict[int, Any] = {}
    read = ModelBackend.get_user

    def get_user(backend: ModelBackend, user_id: int) -> Any:
        if user_id not in users:
            users[user_id] = read(backend, user_id)
        return users[user_id]

    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    monkeypatch.setattr(ModelBackend, "get_user", get_user)


@pytest.fixture
def stream(transactional_db: None, programs: "Programs") -> "Web":
    """The stream program, shared with other tests."""
    return programs.stream()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the users of `two_systems` early: pytest-django sets up what the collected tests are marked with."""
    for item in items:
        if "two_systems" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.django_db(transaction=True, databases=["default", "desk"]))


@pytest.fixture
def two_systems(
    transactional_db: None, broker_url: str, venue: "CcxtVenue", put_back: "KeptHistory | None"
) -> None:
    """Both databases with real commits, the broker, and the desk's books opened with what `venue` holds."""
    from django.utils import timezone

    from settlement.funds import treasury

    if put_back:
        put_back.put_back(now=timezone.now())
    else:
        treasury.open_books(venue=venue, now=timezone.now())


@pytest.fixture
def written_history(
    two_systems: None,
    venue: "CcxtVenue",
    venue_account: tuple[str, str, str],
    kept_history: "KeptHistory",
) -> "Iterator[History]":
    """What `write_history` leaves, in the databases and at the venue."""
    yield kept_history.written(venue, venue_account)
    kept_history.forget_if_moved()

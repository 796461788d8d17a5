"""Nothing waits for the framework for ever, and the health check does not wait for it at all."""

import asyncio

import pytest

from counter.api import patience
from counter.api.patience import Patience
from tests.support.api import error_of
from tests.support.asgi import AsgiClient

SOON_SECONDS = 0.05


class Framework:
    """Answers in two pieces, each when it is told to; `threads` of it may work at a time."""

    def __init__(self):
        self.begin, self.finish = asyncio.Event(), asyncio.Event()
        self.asked = self.finished = 0

    async def __call__(self, scope, receive, send):
        self.asked += 1
        await self.begin.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.finish.wait()
        await send({"type": "http.response.body", "body": b"late"})
        self.finished += 1


@pytest.fixture
def framework(monkeypatch):
    monkeypatch.setattr(patience, "FRAMEWORK_WITHIN_SECONDS", SOON_SECONDS)
    return Framework()


@pytest.fixture
def client(framework):
    return AsgiClient(application=Patience(framework))


def test_an_answer_that_does_not_begin_in_time_is_given_up_and_left_to_end(framework, client):
    async def ask():
        answer = await client.ask("GET", "/x")
        framework.begin.set()
        framework.finish.set()
        while not framework.finished:
            await asyncio.sleep(0)
        return answer

    answer = asyncio.run(asyncio.wait_for(ask(), 10))
    assert error_of(answer, 503)["code"] == "unavailable"
    assert answer["Retry-After"] == "1"
    assert framework.finished == 1


def test_an_answer_that_has_begun_may_take_its_time(framework, client):
    async def ask():
        framework.begin.set()
        asked = asyncio.create_task(client.ask("GET", "/x"))
        await asyncio.sleep(2 * SOON_SECONDS)
        assert not asked.done()
        framework.finish.set()
        return await asked

    assert asyncio.run(asyncio.wait_for(ask(), 10)).content == b"late"


def test_the_health_check_asks_nobody(framework, client):
    assert client.request("GET", "/healthz").json() == {"alive": True}
    assert framework.asked == 0


def test_more_than_can_be_worked_off_are_told_so_at_once(framework, client, monkeypatch):
    monkeypatch.setattr(patience, "INSIDE", 3)
    monkeypatch.setattr(patience, "FRAMEWORK_WITHIN_SECONDS", 60)

    async def ask():
        waiting = [asyncio.create_task(client.ask("GET", "/x")) for _ in range(3)]
        while framework.asked < 3:
            await asyncio.sleep(0)
        refused = await client.ask("GET", "/x")
        framework.begin.set()
        framework.finish.set()
        answers = await asyncio.gather(*waiting)
        return refused, answers, await client.ask("GET", "/x")

    refused, answers, after = asyncio.run(asyncio.wait_for(ask(), 10))
    assert error_of(refused, 503)["code"] == "overloaded"
    assert [answer.status_code for answer in (*answers, after)] == [200] * 4


def test_an_error_of_the_framework_is_the_servers_as_before(framework, client):
    async def fail(*_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        AsgiClient(application=Patience(fail)).request("GET", "/x")


def test_a_client_that_goes_takes_its_request_along(framework, client):
    async def leave():
        asked = asyncio.create_task(client.ask("GET", "/x"))
        while not framework.asked:
            await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await asyncio.sleep(0)
        return client.application._inside

    assert asyncio.run(asyncio.wait_for(leave(), 10)) == set()

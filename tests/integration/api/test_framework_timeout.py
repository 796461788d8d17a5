"""Nothing waits for the framework for ever, and the health check does not wait for it at all."""

import asyncio

import pytest

from counter.api import framework_timeout
from counter.api.framework_timeout import FrameworkTimeout
from counter.contracts import WALLET_TAG
from infra.http_client import signatures
from tests.support.api import error_of
from tests.support.asgi import AsgiClient
from tests.support.signing import signed_headers

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
    monkeypatch.setattr(framework_timeout, "FRAMEWORK_WITHIN_SECONDS", SOON_SECONDS)
    return Framework()


@pytest.fixture
def client(framework):
    return AsgiClient(application=FrameworkTimeout(framework, framework))


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
    monkeypatch.setattr(framework_timeout, "INSIDE", 3)
    monkeypatch.setattr(framework_timeout, "FRAMEWORK_WITHIN_SECONDS", 60)

    monkeypatch.setattr(framework_timeout, "SHARES", 1)

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
        AsgiClient(application=FrameworkTimeout(fail, fail)).request("GET", "/x")


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

    assert not asyncio.run(asyncio.wait_for(leave(), 10))


def test_a_crowd_of_one_address_leaves_room_for_others_and_for_machines(framework, monkeypatch):
    monkeypatch.setattr(framework_timeout, "INSIDE", 12)
    monkeypatch.setattr(framework_timeout, "FRAMEWORK_WITHIN_SECONDS", 60)
    application = FrameworkTimeout(framework, framework)
    crowd, other, more = (
        AsgiClient(application=application, peer=peer) for peer in ("192.0.2.1", "192.0.2.2", "2001:db8::1")
    )

    async def ask():
        waiting = []

        async def fill(client, count):
            answers = [asyncio.create_task(client.ask("GET", "/x")) for _ in range(count)]
            await asyncio.sleep(0.01)
            waiting.extend(answers)
            return sum(not answer.done() for answer in answers)

        inside = [await fill(crowd, 20), await fill(other, 20), await fill(more, 20)]
        # Another address of the same network of IPv6 is the same.
        inside.append(await fill(AsgiClient(application=application, peer="2001:db8::2"), 20))
        asked = framework.asked
        path = "/internal/v1/sync-orders"
        waiting.append(asyncio.create_task(other.ask("GET", path, headers=signed_headers("GET", path))))
        await asyncio.sleep(0.01)
        framework.begin.set()
        framework.finish.set()
        await asyncio.gather(*waiting)
        return inside, framework.asked - asked

    inside, of_machines = asyncio.run(asyncio.wait_for(ask(), 10))
    assert inside == [6, 4, 2, 0]
    assert of_machines == 1


def test_all_who_ask_whether_it_is_ready_share_one_answer(framework, client):
    async def ask():
        crowd = [asyncio.create_task(client.ask("GET", "/readyz", query=f"x={n}")) for n in range(50)]
        strange = asyncio.create_task(client.ask("GET", "/readyz", headers={"Host": "elsewhere"}))
        await asyncio.sleep(0.01)
        framework.begin.set()
        framework.finish.set()
        answers = await asyncio.gather(*crowd)
        await strange
        return answers, await client.ask("GET", "/readyz")

    answers, again = asyncio.run(asyncio.wait_for(ask(), 10))
    assert {(answer.status_code, answer.content) for answer in (*answers, again)} == {(200, b"late")}
    assert framework.asked == 2  # for all of them, and for whose Host is not ours


@pytest.mark.parametrize("headers", ["none", "of nobody", "of another body", "of the wallet"])
def test_the_thread_for_the_desks_word_is_had_by_nobody_else(framework, headers):
    async def liveness(scope, receive, send):
        raise AssertionError("a stranger was let in")

    framework.begin.set()
    framework.finish.set()
    body = b"{}"
    given = {
        "none": {},
        "of nobody": signed_headers(
            "POST", framework_timeout.LIVENESS, body, keys=signatures.keys_of("guessed")
        ),
        "of another body": signed_headers("POST", framework_timeout.LIVENESS, b"other"),
        "of the wallet": signed_headers("POST", framework_timeout.LIVENESS, body, tag=WALLET_TAG),
    }[headers]
    client = AsgiClient(application=FrameworkTimeout(framework, liveness))
    pieces = [{"type": "http.request", "body": body}]
    answer = client.request("POST", framework_timeout.LIVENESS, pieces=pieces, headers=given)
    assert answer.content == b"late"


def test_the_desks_word_that_it_is_there_waits_for_no_other_request(framework):
    async def liveness(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"heard"})

    client = AsgiClient(application=FrameworkTimeout(framework, liveness))

    async def ask():
        most = framework_timeout.INSIDE // framework_timeout.SHARES
        crowd = [asyncio.create_task(client.ask("GET", "/x")) for _ in range(most)]
        while framework.asked < most:
            await asyncio.sleep(0)
        refused = await client.ask("GET", "/x")
        signed = signed_headers("POST", framework_timeout.LIVENESS)
        heard = await client.ask(
            "POST", framework_timeout.LIVENESS, pieces=[{"type": "http.request", "body": b""}], headers=signed
        )
        framework.begin.set()
        framework.finish.set()
        await asyncio.gather(*crowd)
        return refused, heard

    refused, heard = asyncio.run(asyncio.wait_for(ask(), 10))
    assert error_of(refused, 503)["code"] == "overloaded"
    assert heard.status_code == 200

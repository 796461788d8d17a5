"""The venue's websockets as Binance describes them: addresses, requests, accounts' streams, and how they end."""

import asyncio

import aiohttp
import pytest
import requests

from tests.support.paper_process import KEY, call, limit_ioc, running_venue
from tests.support.sockets import connected, signed, talk


def moves(venue, symbol="BTCUSDT", price="90100"):
    """Let the price be another one."""
    venue.control("POST", "price", symbol=symbol, price=price)


@pytest.mark.parametrize(
    ("path", "wraps"),
    [
        ("/ws/btcusdt@bookTicker", False),
        ("/ws/btcusdt@bookTicker/ethusdt@depth", False),
        ("/stream?streams=btcusdt@bookTicker", True),
    ],
)
def test_an_address_names_the_streams(venue, path, wraps):
    async def conversation():
        async with connected(venue.url, path) as socket:
            while True:
                await asyncio.to_thread(moves, venue)
                message = await socket.receive()
                if wraps:
                    assert message["stream"] == "btcusdt@bookTicker"
                    message = message["data"]
                if message.get("s") == "BTCUSDT":
                    return message
                await asyncio.to_thread(moves, venue, price="90000")

    assert (talk(conversation)["b"], talk(conversation)["a"]) == ("90100.00000000", "90100.01000000")


def test_subscriptions_are_added_listed_wrapped_and_taken_back(venue):
    async def conversation():
        async with connected(venue.url, "/ws") as socket:
            answers = [
                await socket.ask("SUBSCRIBE", ["ethusdt@bookTicker", "btcusdt@aggTrade"], 1),
                await socket.ask("LIST_SUBSCRIPTIONS", None, "two"),
                await socket.ask("SET_PROPERTY", ["combined", True], 3),
                await socket.ask("GET_PROPERTY", ["combined"], 4),
            ]
            wrapped = await socket.receive()
            answers.append(await socket.ask("UNSUBSCRIBE", ["ethusdt@bookTicker"], 5))
            return answers, wrapped, await socket.receive_many(seconds=0.5)

    answers, wrapped, rest = talk(conversation)
    assert answers == [
        {"result": None, "id": 1},
        {"result": ["ethusdt@bookTicker", "btcusdt@aggTrade"], "id": "two"},
        {"result": None, "id": 3},
        {"result": True, "id": 4},
        {"result": None, "id": 5},
    ]
    assert wrapped["stream"] == "ethusdt@bookTicker"
    assert rest == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ('{"method": "SUBSCRIBE", "params": ["btcusdt@nothing"], "id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": ["BTCUSDT@trade"], "id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}', 2),
        ('{"method": "OBEY", "id": 1}', 2),
        ('{"method": "SET_PROPERTY", "params": ["colour", true], "id": 1}', 2),
    ],
)
def test_a_senseless_request_is_answered_and_changes_nothing(venue, sent, code):
    async def conversation():
        async with connected(venue.url, "/ws") as socket:
            await socket.socket.send_str(sent)
            refused = await socket.receive()
            return refused, await socket.ask("LIST_SUBSCRIPTIONS")

    refused, listed = talk(conversation)
    assert refused["error"]["code"] == code
    assert listed["result"] == []


def test_who_sends_too_much_is_disconnected(venue):
    async def conversation():
        async with connected(venue.url, "/ws") as socket:
            for number in range(10):
                await socket.socket.send_str(f'{{"method": "LIST_SUBSCRIPTIONS", "id": {number}}}')
            while True:
                await socket.receive()

    with pytest.raises(ConnectionError, match="1008"):
        talk(conversation)


def test_an_account_hears_of_its_orders_transfers_and_balances_by_a_listen_key(venue):
    headers = {"X-MBX-APIKEY": KEY}
    key = requests.post(f"{venue.url}/api/v3/userDataStream", headers=headers, timeout=10).json()["listenKey"]

    def act():
        call(venue, "POST", "/api/v3/order", **limit_ioc("heard", quantity="0.02"))
        call(venue, "POST", "/sapi/v1/asset/transfer", type="FUNDING_MAIN", asset="USDT", amount="7")

    async def conversation():
        async with connected(venue.url, f"/ws/{key}") as socket:
            await asyncio.to_thread(act)
            return [await socket.receive() for _ in range(5)]

    new, traded, position, moved, after = talk(conversation)
    assert [(report["x"], report["X"], report["c"], report["z"]) for report in (new, traded)] == [
        ("NEW", "NEW", "heard", "0.00000000"),
        ("TRADE", "FILLED", "heard", "0.02000000"),
    ]
    assert {item["a"] for item in position["B"]} == {"BTC", "USDT"}
    assert (moved["e"], moved["a"], moved["d"]) == ("balanceUpdate", "USDT", "7.00000000")
    spot = venue.state()["accounts"]["paper"]["spot"]
    assert after["B"] == [{"a": "USDT", "f": spot["USDT"]["free"], "l": spot["USDT"]["locked"]}]
    for method, status in (("PUT", 200), ("DELETE", 200), ("PUT", 400)):
        answer = requests.request(
            method,
            f"{venue.url}/api/v3/userDataStream",
            params={"listenKey": key},
            headers=headers,
            timeout=10,
        )
        assert answer.status_code == status, answer.text


def test_an_account_subscribes_by_signature_and_others_are_refused(venue):
    async def conversation():
        async with connected(venue.url, "/ws-api/v3") as socket:
            subscribed = await socket.ask("userDataStream.subscribe.signature", signed(), "a")
            forged = await socket.ask("userDataStream.subscribe.signature", signed(secret="another"), "b")
            unknown = await socket.ask("userDataStream.subscribe.signature", signed(key="nobody"), "c")
            strange = await socket.ask("order.amend", {}, "d")
            await asyncio.to_thread(call, venue, "POST", "/api/v3/order", **limit_ioc("signed"))
            event = await socket.receive()
            left = await socket.ask("userDataStream.unsubscribe", {"subscriptionId": 0}, "e")
            await asyncio.to_thread(call, venue, "POST", "/api/v3/order", **limit_ioc("unheard"))
            return subscribed, [forged, unknown, strange], event, left, await socket.receive_many(seconds=0.3)

    subscribed, refused, event, left, rest = talk(conversation)
    assert (subscribed["status"], subscribed["result"]) == (200, {"subscriptionId": 0})
    assert [answer["error"]["code"] for answer in refused] == [-1022, -2015, -1020]
    assert (event["subscriptionId"], event["event"]["c"]) == (0, "signed")
    assert left["status"] == 200
    assert [message for message in rest if "event" in message and message["event"]["c"] == "unheard"] == []


def test_a_connection_is_pinged_and_ends_without_pongs_or_at_its_age():
    async def silent(url):
        async with connected(url, "/ws", answers_pings=False) as socket:
            frames = []
            while not frames or frames[-1].type is aiohttp.WSMsgType.PING:
                frames.append(await socket.socket.receive(timeout=10))
            return frames

    async def old(url):
        async with connected(url, "/ws") as socket:
            return await socket.socket.receive(timeout=10)

    with running_venue(
        "--ping-every-seconds", "1", "--pong-within-seconds", "1", "--stream-seconds", "5"
    ) as short:
        frames = talk(lambda: silent(short.url))
        aged = talk(lambda: old(short.url))
    assert frames[0].type is aiohttp.WSMsgType.PING
    assert frames[0].data.isdigit()
    assert (frames[-1].type, frames[-1].data) == (aiohttp.WSMsgType.CLOSE, 1008)
    assert (aged.type, aged.data) == (aiohttp.WSMsgType.CLOSE, 1001)


def test_an_address_has_a_number_of_connections_and_no_more():
    async def conversation(url):
        async with connected(url, "/ws"), connected(url, "/ws"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with connected(url, "/ws"):
                    pass
            return refused.value.status

    with running_venue("--connections-per-5m", "2") as small:
        assert talk(lambda: conversation(small.url)) == 429

"""The reader of the stream program by itself: a listener that has gone is forgotten, however soon it went."""

import asyncio
from types import SimpleNamespace

from counter.stream.changes import Told
from counter.stream.credentials import Credential, CredentialKind
from counter.stream.listener import Listener
from counter.stream.quote_board import Wanted
from counter.stream.reader import Reader


def test_a_listener_who_comes_and_goes_while_others_are_taken_in_is_not_kept():
    listener = Listener(
        customer_id=1,
        channels=frozenset({"orders", "quotes"}),
        wanted=Wanted(),
        credential=Credential(CredentialKind.TOKEN, "t"),
    )
    loop = asyncio.new_event_loop()
    reader = Reader(loop, lambda pieces: None, lambda: None)
    loop.close()
    going, visits = reader._going, iter([True])

    def empty():
        if next(visits, False):  # at this very moment
            reader.join(listener, Told(1, 0, {}, {}, None))
            reader.leave(listener)
        return going.empty()

    reader._going = SimpleNamespace(empty=empty, get=going.get, put=going.put)
    for _ in range(3):
        reader._take_in()
    assert reader._everybody() == []

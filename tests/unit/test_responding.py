"""A thread that answers outlives neither its client nor the event loop that it hands its answer to."""

import asyncio
import threading

from infra.http_server.responding import OnThreads

SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "raw_path": b"/",
    "root_path": "",
    "query_string": b"",
    "headers": [],
    "http_version": "1.1",
    "scheme": "http",
    "server": ("127.0.0.1", 80),
    "client": ("127.0.0.1", 1),
}


def test_a_thread_whose_loop_has_ended_gives_its_answer_up():
    begun, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    def application(environ, start_response):
        begun.set()
        goes_on.wait(30)
        try:
            start_response("200 OK", [])
            return [b"late"]
        finally:
            ended.set()

    served = OnThreads(application, workers=1)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        raise AssertionError("nobody is there any more")

    async def leave_it():
        asked = asyncio.ensure_future(served(SCOPE, receive, send))
        await asyncio.to_thread(begun.wait, 30)
        asked.cancel()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_it())
    goes_on.set()  # the loop has stopped, as at the end of a process
    assert ended.wait(10)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

"""A server that only answers: what the client reaches against it shows how far the client itself is from its limit."""

import select
import signal
import socket

from tools.bench.load.wire import HEAD_END
from tools.embedded.processes import die_with_parent

BODY = b'{"id":1,"state":"pending","padding":"' + b"x" * 400 + b'"}'
ANSWER = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


def serve(listener: socket.socket) -> None:
    """Answer every request on every connection with the same 201, until killed."""
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    while True:
        for descriptor, _ in epoll.poll():
            if descriptor == listener.fileno():
                connection, _ = listener.accept()
                connections[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
                continue
            connection = connections[descriptor]
            data = connection.recv(65536)
            if not data:
                epoll.unregister(descriptor)
                connections.pop(descriptor).close()
            elif HEAD_END in data:  # single orders are far smaller than what one read takes
                connection.sendall(ANSWER)


def main() -> None:
    die_with_parent(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener)


if __name__ == "__main__":
    main()

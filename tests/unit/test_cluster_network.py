"""Hosts of the laboratory on this machine, in namespaces of their own: what a bad wire does to what they send."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.support.skips import needs
from tools.cluster import network

NET = "10.176.0"
BYTES = 1_000_000
# Answers each datagram and each byte.
ANSWERS = """
import socket, threading
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("0.0.0.0", 9000))
streams = socket.create_server(("0.0.0.0", 9000))
def answer_datagrams():
    while True:
        datagrams.sendto(*datagrams.recvfrom(2000))
def answer(stream):
    while data := stream.recv(65536):
        stream.sendall(data)
threading.Thread(target=answer_datagrams, daemon=True).start()
print("answers", flush=True)
while True:
    threading.Thread(target=answer, args=(streams.accept()[0],), daemon=True).start()
"""
# Sends 200 datagrams; prints how many were answered, and the shortest time to an answer in ms.
DATAGRAMS = """
import socket, sys, time
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.connect((sys.argv[1], 9000))
sent = {}
for number in range(200):
    sent[number] = time.monotonic()
    asked.send(str(number).encode())
    time.sleep(0.001)
asked.settimeout(2)
took = []
try:
    while len(took) < 200:
        took.append(time.monotonic() - sent[int(asked.recv(2000))])
except TimeoutError:
    pass
print(len(took), 1000 * min(took, default=0))
"""
# Sends bytes over a stream, and prints the hash of what came back.
STREAM = """
import hashlib, random, socket, sys, threading
sent = random.Random(1).randbytes(int(sys.argv[2]))
stream = socket.create_connection((sys.argv[1], 9000), timeout=30)
threading.Thread(target=stream.sendall, args=(sent,), daemon=True).start()
heard = b""
while len(heard) < len(sent):
    heard += stream.recv(65536)
print(hashlib.sha256(sent).hexdigest() == hashlib.sha256(heard).hexdigest())
"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make hosts of namespaces"),
    pytest.mark.skipif(
        shutil.which("ip") is None, reason=needs("iproute2", "no host of a namespace was tried")
    ),
]


@pytest.fixture
def hosts(monkeypatch):
    """Two, beside the bridge of a laboratory that may be running."""
    monkeypatch.setattr(network, "BRIDGE", "cbx-try")
    monkeypatch.setattr(network, "NET", NET)
    two = [network.Host("try1", 1), network.Host("try2", 2)]
    try:
        with network.made(two):
            yield two
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no hosts can be made here: {error}")


@pytest.fixture
def asked(hosts):
    """Runs a program on the second host, against one on the first that answers; what it printed."""
    server, client = hosts
    answering = subprocess.Popen(
        server.inside([sys.executable, "-c", ANSWERS]), stdout=subprocess.PIPE, text=True
    )
    assert answering.stdout.readline() == "answers\n"

    def ask(program, *arguments):
        command = [sys.executable, "-c", program, server.address, *arguments]
        done = subprocess.run(client.inside(command), capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.split()

    yield ask
    server.end()
    answering.wait()
    answering.stdout.close()


def test_frames_are_late_and_some_are_lost_and_a_stream_comes_through_whole(hosts, asked):
    host = hosts[0]
    assert asked(DATAGRAMS)[0] == "200"
    host.worsen(late_ms=20, varies_ms=5, lost=0.1, seed=1)
    answered, shortest_ms = asked(DATAGRAMS)
    assert 120 < int(answered) < 195  # 0.9 x 0.9 x 200 = 162 on average
    assert float(shortest_ms) >= 2 * (20 - 5)
    assert asked(STREAM, str(BYTES)) == ["True"]
    host.mend()
    assert asked(DATAGRAMS)[0] == "200"
    assert asked(STREAM, str(BYTES)) == ["True"]


def test_nothing_is_left_of_hosts_with_a_bad_wire(hosts):
    hosts[0].worsen(late_ms=5, varies_ms=1, lost=0.01, seed=1)
    wire = hosts[0]._wire
    network.removed(hosts)
    assert wire.poll() is not None
    links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in links.splitlines() if line.startswith("cbx-try")]

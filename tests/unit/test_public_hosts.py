"""Which addresses a stranger may have us call, and which URLs."""

import socket
import time
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.http_client import public_hosts, strangers
from infra.http_client.public_hosts import AddressRefused, NameUnknown, callable_addresses, is_public
from infra.http_client.strangers import NotSent, UrlRefused, checked_url, post

REFUSED = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1", "100::1"),
]
TAKEN = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.1", "2606:4700:4700::1111"]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_public_is_refused(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", TAKEN)
def test_what_is_public_is_taken(text):
    assert is_public(ip_address(text))


@given(st.ip_addresses(v=4))
def test_no_address_of_ipv6_leads_to_one_of_ipv4(address: IPv4Address):
    carried = [
        f"::{address}",
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        str(IPv6Address((0x2002 << 112) | (int(address) << 80))),
    ]
    assert not any(is_public(ip_address(text)) for text in carried)


@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_is_never_public(address):
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not is_public(address)


def test_what_an_operator_allows_is_taken_and_its_neighbour_is_not():
    allowed = [ip_network("10.1.0.0/16")]
    assert is_public(ip_address("10.1.2.3"), allowed=allowed)
    assert not is_public(ip_address("10.2.0.1"), allowed=allowed)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "::1"])
def test_a_name_of_this_machine_is_refused_however_it_is_written(host):
    with pytest.raises((AddressRefused, NameUnknown)):
        callable_addresses(host, 443, within_seconds=5)


def resolving_to(monkeypatch, *answers):
    """Have each look-up of a name give the next of these answers, the last one for ever."""
    left = list(answers)

    def getaddrinfo(host, port, **options):
        texts = left.pop(0) if len(left) > 1 else left[0]
        return [(None, None, None, "", (text, port)) for text in texts]

    monkeypatch.setattr(public_hosts.socket, "getaddrinfo", getaddrinfo)


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    resolving_to(monkeypatch, ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        callable_addresses("rebinding.example", 443, within_seconds=1)


def test_what_was_checked_is_connected_to_and_the_name_is_not_looked_up_again(monkeypatch):
    resolving_to(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    called = []

    def create_connection(address, **options):
        called.append(address)
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(strangers.socket, "create_connection", create_connection)
    with pytest.raises(NotSent, match="nobody there"):
        post("https://rebinding.example/x", body=b"", headers={}, within_seconds=2, keep_bytes=1)
    assert called == [("93.184.216.34", 443)]


def test_a_private_address_is_not_connected_to(monkeypatch):
    monkeypatch.setattr(strangers.socket, "create_connection", lambda *_, **__: pytest.fail("it was"))
    with pytest.raises(NotSent, match="no public address"):
        post("https://[::ffff:169.254.169.254]/", body=b"", headers={}, within_seconds=2, keep_bytes=1)


def test_time_that_is_up_while_the_socket_is_made_cuts_it(monkeypatch):
    """The timer comes once, and finds nothing to cut."""
    connect = socket.create_connection

    def create_connection(address, **options):
        made = connect(address, **options)
        time.sleep(0.3)
        return made

    monkeypatch.setattr(strangers.socket, "create_connection", create_connection)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(NotSent, match="no time is left"):
            post(
                url,
                body=b"{}",
                headers={},
                within_seconds=0.1,
                keep_bytes=1,
                http=True,
                allowed=[ip_network("127.0.0.0/8")],
            )
        came, _ = server.accept()
        with came:
            came.settimeout(5)
            assert came.recv(1) == b""


@pytest.mark.parametrize(
    "url",
    [
        *("http://a.example/", "HTTP://a.example/", "file:///etc/passwd", "//a.example/", "a.example", ""),
        *("https://u@a.example/", "https://u:p@a.example/", "https://a.example#x", "https://a.example/ x"),
        *("https://a.example\\@b.example/", "https://ä.example/", "https://", "https://a.example:99999/"),
        *("https://a.example:0/", "https://a.example/\n", "https://a.example/\x00", "https://[::1"),
        "https://a.example/" + "x" * 500,
    ],
)
def test_urls_that_are_no_address_to_post_to(url):
    with pytest.raises(UrlRefused):
        checked_url(url, http=False)


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example:8443/x?y=1", "https://xn--bcher-kva.example/"]
)
def test_urls_that_are(url):
    checked_url(url, http=False)

"""Whom a limit of an address is for, and how little is remembered of what is no address."""

import pytest

from counter.api import addresses, event_loop_answers
from infra.http_server.client_network import network_of


@pytest.mark.parametrize(
    ("address", "holder"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", "unknown"),
        ("no:address", "no:address"),
        (":" * 1000, ":" * 64),
    ],
)
def test_who_has_an_address_of_ipv6_has_its_network(address, holder):
    assert network_of(address) == holder


def test_nothing_long_that_a_stranger_sends_is_kept(settings):
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    kept = addresses._known.cache_info().currsize, event_loop_answers._is_ours.cache_info().currsize
    for number in range(50):
        assert addresses.client_address("127.0.0.1", f"{number}" + "1" * 100_000) is None
        assert not event_loop_answers.is_ours(f"{number}".encode() + b"a" * 100_000)
    now_kept = addresses._known.cache_info().currsize, event_loop_answers._is_ours.cache_info().currsize
    assert [after - before for before, after in zip(kept, now_kept, strict=True)] in ([0, 0], [1, 0])

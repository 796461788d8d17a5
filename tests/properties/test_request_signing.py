"""No two requests are signed alike: what a header says can be read back from what is signed."""

import re
from dataclasses import astuple, dataclass
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from counter.access.request_signing import (
    SIGNATURE_HEADER,
    HeaderUnreadable,
    SignedHeaders,
    fits,
    read_headers,
    signature_of,
    signing_string,
)


@dataclass(frozen=True)
class Asked:
    """Everything that a signature covers."""

    timestamp: str
    recv_window: str
    method: str
    target: bytes
    body: bytes

    def signed(self):
        return signing_string(
            timestamp=self.timestamp,
            recv_window=self.recv_window,
            method=self.method,
            target=self.target,
            body=self.body,
        )


requests = st.builds(
    Asked,
    timestamp=st.integers(10**12, 10**13 - 1).map(str),
    recv_window=st.one_of(st.just(""), st.integers(1, 60_000).map(str)),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    target=st.from_regex(rb"/api/v1/[a-z0-9/]{1,12}(\?[!-~]{0,12})?", fullmatch=True),
    body=st.one_of(st.just(b""), st.binary(max_size=30), st.from_regex(rb"\{[ -~]{0,20}\}", fullmatch=True)),
)
WRITTEN = re.compile(rb"([0-9]{13})([0-9]*)([A-Z]+)(/.*)", re.DOTALL)


@given(requests)
def test_time_window_method_and_the_rest_are_read_back(asked):
    found = WRITTEN.fullmatch(asked.signed())
    assert found is not None
    assert found.groups() == (
        asked.timestamp.encode(),
        asked.recv_window.encode(),
        asked.method.encode(),
        asked.target + asked.body,
    )


@given(requests, requests, st.text(min_size=1, max_size=20))
def test_a_signature_fits_its_own_request_only(asked, another, secret):
    headers = SignedHeaders(
        "k", asked.timestamp, asked.recv_window, signature_of(asked.signed(), secret=secret)
    )

    def of(request):
        return {"method": request.method, "target": request.target, "body": request.body}

    assert fits(headers, secret=secret, **of(asked))
    assert not fits(headers, secret=f"{secret}x", **of(asked))
    # Where the target ends and the body begins is not signed: the addresses that take a body take no query.
    assume((another.method, another.target + another.body) != (asked.method, asked.target + asked.body))
    assert not fits(headers, secret=secret, **of(another))


@given(requests, st.integers(0, 10**6), st.integers(0, 7))
def test_a_changed_byte_or_bit_is_noticed(asked, place, bit):
    headers = SignedHeaders("k", asked.timestamp, asked.recv_window, signature_of(asked.signed(), secret="s"))
    body = bytearray(asked.body or b"x")
    body[place % len(body)] ^= 1 << bit
    changed = Asked(*astuple(asked)[:-1], bytes(body))
    assert not fits(headers, secret="s", method=changed.method, target=changed.target, body=changed.body)


@given(
    st.dictionaries(st.sampled_from(["X-API-Timestamp", "X-API-Recv-Window", SIGNATURE_HEADER]), st.text())
)
def test_any_headers_are_read_or_refused(given_headers):
    try:
        headers = read_headers(given_headers.get)
    except HeaderUnreadable:
        return
    assert headers.made_at < headers.valid_until


def test_the_example_of_the_documentation_is_true():
    page = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
    written, secret, told = re.search(
        r"printf %s '(.+)' \| openssl dgst -sha256 -hmac (\S+) -r\n +([0-9a-f]{64})", page
    ).groups()
    timestamp, window, rest = written[:13], written[13:17], written[17:]
    found = WRITTEN.fullmatch(written.encode())
    assert found is not None
    assert (found[1].decode(), found[2].decode()) == (timestamp, window)
    target, body = rest.removeprefix("POST").split("{", 1)
    headers = SignedHeaders("cbk_example", timestamp, window, told)
    assert fits(headers, secret=secret, method="POST", target=target.encode(), body=b"{" + body.encode())

"""A request counts only if its key, signature and time are right."""

from decimal import Decimal

import pytest

from tools.paper_venue.errors import (
    KeyMalformed,
    KeyUnknown,
    ParameterMissing,
    SignatureInvalid,
    TimestampAhead,
    TimestampOutsideWindow,
    WindowTooLarge,
)
from tools.paper_venue.signing import Credentials, check_signature, check_timing, find_credentials

# The worked example of Binance's documentation, "SIGNED Endpoint Examples for POST /api/v3/order".
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
HEAD = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
TAIL = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
WHOLE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
MIXED = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"


@pytest.mark.parametrize(
    ("query", "body", "signature"),
    [
        (f"{HEAD}&{TAIL}&signature={WHOLE}", "", WHOLE),
        ("", f"{HEAD}&{TAIL}&signature={WHOLE}", WHOLE),
        (HEAD, f"{TAIL}&signature={MIXED}", MIXED),
        (f"{HEAD}&signature={MIXED}", TAIL, MIXED),
        (f"signature={WHOLE}&{HEAD}&{TAIL}", "", WHOLE),
        (f"{HEAD}&{TAIL}&signature={WHOLE.upper()}", "", WHOLE.upper()),
    ],
    ids=["query", "body", "both", "both-signed-in-query", "signature-first", "upper-case"],
)
def test_the_documented_signatures_pass_wherever_the_parameters_stand(query, body, signature):
    check_signature(query=query, body=body, signature=signature, secret=SECRET)


@pytest.mark.parametrize(
    ("query", "signature"),
    [(f"{HEAD}&{TAIL}x", WHOLE), (f"{HEAD}&{TAIL}", MIXED), (f"{HEAD}&{TAIL}", "0"), (f"{HEAD}&{TAIL}", "ä")],
)
def test_any_other_byte_or_signature_is_refused(query, signature):
    with pytest.raises(SignatureInvalid):
        check_signature(query=query, body="", signature=signature, secret=SECRET)


def test_a_missing_signature_is_named():
    with pytest.raises(ParameterMissing, match="signature"):
        check_signature(query=HEAD, body="", signature=None, secret=SECRET)


NOW = 1_770_000_000_000


@pytest.mark.parametrize(
    ("age_ms", "window", "error"),
    [
        (0, None, None),
        (5_000, None, None),
        (5_001, None, TimestampOutsideWindow),
        (60_000, "60000", None),
        (0, "60000.001", WindowTooLarge),
        (100, "99.5", TimestampOutsideWindow),
        (-999, None, None),
        (-1_000, None, TimestampAhead),
    ],
)
def test_timestamps_live_within_the_window(age_ms, window, error):
    window_ms = None if window is None else Decimal(window)
    if error is None:
        check_timing(timestamp_ms=NOW - age_ms, window_ms=window_ms, now_ms=NOW)
        check_timing(timestamp_ms=(NOW - age_ms) * 1000, window_ms=window_ms, now_ms=NOW)
    else:
        with pytest.raises(error):
            check_timing(timestamp_ms=NOW - age_ms, window_ms=window_ms, now_ms=NOW)


def test_keys_are_malformed_unknown_or_known():
    known = Credentials("alice", "key-1", "hidden")
    assert find_credentials(key="key-1", known={"key-1": known}) is known
    for malformed in (None, "", "k e y", "k" * 129):
        with pytest.raises(KeyMalformed):
            find_credentials(key=malformed, known={"key-1": known})
    with pytest.raises(KeyUnknown):
        find_credentials(key="key-2", known={"key-1": known})


def test_secrets_are_not_printed():
    assert "hidden" not in repr(Credentials("alice", "key-1", "hidden"))

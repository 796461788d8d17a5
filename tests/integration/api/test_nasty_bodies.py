"""Malformed bodies, at every door that takes one: a 4xx with a code, and nothing has changed."""

import gzip

import pytest
from django.db import connection

from counter.limits.refusals import refusals
from tests.support.api import error_of
from tests.support.asgi import AsgiClient
from tests.support.signing import signed_headers

ORDERS, BATCH = "/api/v1/orders", "/api/v1/orders/batch"
ACK, SETTLEMENTS = "/internal/v1/sync-orders/ack", "/internal/v1/settlements"
BY_LANE, BY_FRAMEWORK = "application/json", "application/json; charset=utf-8"

DOORS = [(ORDERS, BY_LANE), (ORDERS, BY_FRAMEWORK), (BATCH, BY_LANE), (BATCH, BY_FRAMEWORK)]
INTERNAL = [(ACK, BY_LANE), (SETTLEMENTS, BY_LANE)]
EVERYWHERE = DOORS + INTERNAL
TEN_MB = 10 * 2**20

VALID = {
    "open": b'{"type":"open","client_order_id":"nasty","symbol":"%s","contracts":1,"max_cost":"100"}',
    ACK: b'{"source":"crossbook","order_ids":[1]}',
    SETTLEMENTS: (
        b'{"source":"crossbook","reports":[{"order_id":1,"conversion_id":1,"price":"90000.00000000",'
        b'"value":"22.50000000","fee":"0.00000000","due":"22.500000","settled_at":"2026-11-01T12:00:00Z"}]}'
    ),
}
TABLES = (
    *("counter_syncorder", "counter_position", "counter_transfer", "counter_account"),
    *("counter_cashmovement", "counter_customer", "counter_option"),
)


@pytest.fixture
def send(caller, option):
    """Send a body (made from the door's valid one) and make sure that nothing but nonces has changed."""

    def send_it(path, content_type, make, **headers):
        body = make(valid_body(path, option))
        named = {"Content-Type": content_type, "Authorization": f"Token {caller.token}"} | headers
        if path.startswith("/internal/"):
            named |= signed_headers("POST", path, body)
        before = everything()
        answer = AsgiClient(headers=named).post(path, body, content_type=content_type)
        assert everything() == before
        return answer

    return send_it


def valid_body(path, option):
    order = VALID["open"] % option.symbol.encode()
    return {ORDERS: order, BATCH: b'{"orders":[%s]}' % order}.get(path) or VALID[path]


def everything():
    """All rows of counter's tables."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT t::text FROM {table} AS t ORDER BY 1")
            found[table] = cursor.fetchall()
    return found


def replacing(old, new):
    def make(valid):
        assert old in valid
        return valid.replace(old, new, 1)

    return make


NOT_JSON = {
    "empty": lambda valid: b"",
    "white space": lambda valid: b" \n\t",
    "NUL": lambda valid: b"\x00",
    "cut": lambda valid: valid[:-1],
    "trailing": lambda valid: valid + b"{}",
    "trailing NUL": lambda valid: valid + b"\x00",
    "byte order mark": lambda valid: b"\xef\xbb\xbf" + valid,
    "UTF-16": lambda valid: valid.decode().encode("utf-16"),
    "UTF-32": lambda valid: valid.decode().encode("utf-32"),
    "Latin-1": lambda valid: valid.replace(b"nasty", "nästy".encode("latin-1")).replace(
        b"cross", b"cr\xf6ss"
    ),
    "overlong UTF-8": lambda valid: valid.replace(b'":', b"\xc0\xa2:", 1),
    "surrogate as UTF-8": lambda valid: valid.replace(b'":"', b'":"\xed\xa0\x80', 1),
    "lone surrogate": lambda valid: valid.replace(b'":"', b'":"\\ud800', 1),
    "raw NUL in a text": lambda valid: valid.replace(b'":"', b'":"\x00', 1),
    "raw newline in a text": lambda valid: valid.replace(b'":"', b'":"\n', 1),
    "gzip": gzip.compress,
    "100,000 brackets": lambda valid: b"[" * 100_000,
    "100,000 closed brackets": lambda valid: b"[" * 100_000 + b"]" * 100_000,
    "100,000 braces": lambda valid: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "NaN": lambda valid: b"NaN",
    "Infinity": lambda valid: b"-Infinity",
    "single quotes": lambda valid: valid.replace(b'"', b"'"),
    "form": lambda valid: b"type=open&contracts=1",
    "XML": lambda valid: (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>'
    ),
    "comment": lambda valid: b"/* */" + valid,
}


@pytest.mark.parametrize("make", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_json_is_refused(send, make):
    for path, content_type in EVERYWHERE:
        refusals._due_at.clear()  # such a body costs as many refusals as it has room for
        assert error_of(send(path, content_type, make), 400)["code"] in {"malformed_json", "invalid_request"}


OTHER_SHAPES = {
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "number of 400 digits": b"9" * 400,
    "text": b'"open"',
    "list": b"[]",
    "empty object": b"{}",
    "prototype": b'{"__proto__":{"type":"open"}}',
}


@pytest.mark.parametrize("body", OTHER_SHAPES.values(), ids=OTHER_SHAPES)
def test_json_of_another_shape_is_refused(send, body):
    for path, content_type in EVERYWHERE:
        answer = send(path, content_type, lambda valid: body)
        assert error_of(answer, 400)["code"] == "invalid_request"


NUMBERS = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "text NaN": b'"NaN"',
    "text Infinity": b'"-Infinity"',
    "1e400": b"1e400",
    "text 1e400": b'"1e400"',
    "1e-400": b"1e-400",
    "400 digits": b"9" * 400,
    "text of 400 digits": b'"%s"' % (b"9" * 400),
    "negative": b"-1",
    "text negative": b'"-1"',
    "minus zero": b"-0",
    "float": b"1.5",
    "leading zero": b"01",
    "plus": b"+1",
    "hexadecimal": b"0x1",
    "2^63": b"9223372036854775808",
    "2^64": b"18446744073709551616",
    "list": b"[1]",
    "object": b'{"value":1}',
    "true": b"true",
    "other digits": '"１"'.encode(),
    "NUL": b'"1\\u0000"',
    "newline": b'"1\\n"',
    "empty text": b'""',
    "white space": b'" 1"',
    "underscore": b'"1_0"',
    "exponent": b'"1e3"',
}


UNREADABLE = {"invalid_request", "malformed_json"}


@pytest.mark.parametrize("field", [b'"contracts":1', b'"max_cost":"100"'], ids=["contracts", "max_cost"])
def test_orders_whose_numbers_are_none_are_refused(send, field):
    for name, number in NUMBERS.items():
        if (field, name) == (b'"max_cost":"100"', "minus zero"):
            continue  # an integer that is zero: a limit like any other
        make = replacing(field, field.split(b":")[0] + b":" + number)
        for path, content_type in DOORS:
            assert code_of(send(path, content_type, make)) in UNREADABLE, name


def code_of(answer):
    """The code of a refused order, also of one that is refused by itself within a batch."""
    if answer.status_code != 200:
        return error_of(answer, 400)["code"]
    [outcome] = answer.json()["results"]
    assert outcome["status"] == 400
    return outcome["error"]["code"]


@pytest.mark.parametrize("field", [b'"due":"22.500000"', b'"order_id":1'], ids=["due", "order_id"])
def test_reports_whose_numbers_are_none_are_refused_or_contradict(send, field):
    for name, number in NUMBERS.items():
        answer = send(SETTLEMENTS, BY_LANE, replacing(field, field.split(b":")[0] + b":" + number))
        if answer.status_code == 200:
            assert answer.json() == {"taken": [], "refused": [1]}, name
        else:
            assert error_of(answer, 400)["code"] in UNREADABLE, name


REPEATED = {
    "same content": replacing(b'"contracts":1', b'"contracts":1,"contracts":1'),
    "other content": replacing(b'"contracts":1', b'"contracts":1,"contracts":2'),
    "type": replacing(b'"type":"open"', b'"type":"open","type":"open"'),
    "escaped": replacing(b'"contracts":1', b'"contracts":1,"contr\\u0061cts":1'),
    "null first": replacing(b'"max_cost"', b'"max_cost":null,"max_cost"'),
    "where an escaped colon makes up for it": replacing(b'"nasty"', b'"a\\u003ab","contracts":2'),
    "white space": replacing(b'"contracts":1', b'"contracts" : 1 , "contracts"\n:\t1'),
}


@pytest.mark.parametrize("make", REPEATED.values(), ids=REPEATED)
def test_a_field_that_is_given_twice_is_refused(send, make):
    for path, content_type in DOORS:
        assert code_of(send(path, content_type, make)) == "invalid_request"


def test_orders_that_are_given_twice_are_refused(send):
    for other in (b'"orders":[],', b'"orders":[{}],', b'"orders":[{"a":1}],', b'"\\u006frders":[],'):
        for content_type in (BY_LANE, BY_FRAMEWORK):
            answer = send(BATCH, content_type, lambda valid, other=other: b"{" + other + valid[1:])
            assert error_of(answer, 400)["code"] == "invalid_request"


NO_ORDERS = {
    "5,000 digits": b'{"a":%s,"b":"\\u0041"}' % (b"9" * 5000),
    "no UTF-8": b'{"a":"\xff","b":"\\u0041"}',
    "900 brackets": b"[" * 900 + b'"\\u0041"' + b"]" * 900,
}


@pytest.mark.parametrize("order", NO_ORDERS.values(), ids=NO_ORDERS)
def test_a_batch_with_what_is_no_order_is_refused_or_the_order_in_it(send, order):
    for content_type in (BY_LANE, BY_FRAMEWORK):
        assert code_of(send(BATCH, content_type, lambda valid: b'{"orders":[%s]}' % order)) in UNREADABLE


def test_ten_megabytes_are_refused(send):
    for path, content_type in EVERYWHERE:
        for headers in ({}, {"Content-Length": None, "Transfer-Encoding": "chunked"}):
            answer = send(path, content_type, lambda valid: valid.ljust(TEN_MB), **headers)
            assert error_of(answer, 413)["code"] == "body_too_large"


CONTENT_TYPES = (
    *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
    *("application/json; charset=utf-16", "application/json; charset=latin-1", "application/jsonp"),
    *("application/json, application/json", "x" * 5000, "é", ""),
)


@pytest.mark.parametrize("path", [ORDERS, BATCH, ACK, SETTLEMENTS])
def test_another_content_type_is_refused(send, path):
    for content_type in CONTENT_TYPES:
        answer = send(path, content_type, lambda valid: valid)
        assert error_of(answer, 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("path", [ORDERS, BATCH, ACK, SETTLEMENTS])
def test_another_content_encoding_is_refused(send, path):
    for encoding in ("gzip", "deflate", "br", "x", "identity, gzip"):
        for pack in (gzip.compress, bytes):
            answer = send(path, BY_LANE, pack, **{"Content-Encoding": encoding})
            assert error_of(answer, 415)["code"] == "unsupported_media_type"


def test_bodies_that_are_valid_are_taken(caller, option):
    """Without the nastiness these very bodies pass: the tests above refuse for the reason that they give."""
    for number, (path, content_type) in enumerate(DOORS):
        body = valid_body(path, option).replace(b"nasty", b"o:%d" % number)
        client = AsgiClient(headers={"Authorization": f"Token {caller.token}"})
        answer = client.post(path, body, content_type=content_type)
        assert answer.status_code in {200, 201}
        assert answer.json().get("results", [{"status": 201}])[0]["status"] == 201
    for path, content_type in INTERNAL:
        body = valid_body(path, option)
        signed = AsgiClient(headers=signed_headers("POST", path, body))
        assert signed.post(path, body, content_type=content_type).status_code == 200

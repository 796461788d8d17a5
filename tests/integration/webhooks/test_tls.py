"""Webhooks over TLS: the certificate has to be of the name in the URL and of an authority that is known."""

import ssl
import threading
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from infra.http_client import strangers
from infra.http_client.strangers import NotSent, post
from tests.support.receiving import Receiver


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Of hook.example.org, signed by itself; with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hook.example.org")])
    now = timezone.now()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hook.example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def secure(certificate, monkeypatch):
    """A receiver by TLS on this machine, which every name resolves to."""
    made = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made.socket = context.wrap_socket(made.socket, server_side=True)
    made.handle_error = lambda *_: None  # of callers that trust nobody
    serving = threading.Thread(target=made.serve_forever, args=[0.02])
    serving.start()
    monkeypatch.setattr(strangers, "callable_addresses", lambda *_, **__: ["127.0.0.1"])
    yield made
    made.shutdown()
    serving.join()
    made.server_close()


def posted(receiver, host):
    return post(
        f"https://{host}:{receiver.server_port}/status/200",
        body=b"{}",
        headers={"webhook-id": "evt_1"},
        within_seconds=5,
        keep_bytes=10,
    )


@pytest.fixture
def trusted(certificate, monkeypatch):
    monkeypatch.setattr(strangers, "_tls", lambda: ssl.create_default_context(cafile=str(certificate)))


@pytest.mark.usefixtures("trusted")
def test_the_name_is_told_and_verified_though_an_address_is_connected_to(secure):
    answer = posted(secure, "hook.example.org")
    assert answer.status == 200
    assert len(answer.beginning) == 10
    [message] = secure.got
    assert message["headers"]["host"] == f"hook.example.org:{secure.server_port}"


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_name_is_refused(secure):
    with pytest.raises(NotSent, match=r"(?i)hostname|certificate"):
        posted(secure, "other.example.org")
    assert secure.got == []


def test_a_certificate_of_nobody_known_is_refused(secure):
    with pytest.raises(NotSent, match=r"(?i)certificate"):
        posted(secure, "hook.example.org")
    assert secure.got == []

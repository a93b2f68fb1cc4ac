"""Real TLS on loopback: whoever cannot prove to be the channel is told nothing, and nothing goes out in plain text."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channelsync.sdk import http, outbound
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.errors import NotSent
from channelsync.sdk.http import Call
from channelsync.sdk.outbound import Outbound
from channelsync.sdk.tls import trusted

NOW = SystemClock().now()
WRITE = Call("POST", "/quantities", "write", json={"MUG": 3}, attempts=1)
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs certificates that our side trusts."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    key: ec.EllipticCurvePrivateKey, *, by: Authority | None, name: x509.GeneralName, ends: datetime
) -> x509.Certificate:
    """A certificate of a server. by None: it signs itself."""
    issuer = by.certificate.subject if by else named("shop")
    made = x509.CertificateBuilder().subject_name(named("shop")).issuer_name(issuer).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(ends - timedelta(days=30))
    made = made.not_valid_after(ends).add_extension(x509.SubjectAlternativeName([name]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return made.sign(by.key if by else key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = named("authority of this test")
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(NOW - timedelta(days=60))
    made = made.not_valid_after(NOW + timedelta(days=60))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return Authority(key, made.sign(key, hashes.SHA256()))


@dataclass(slots=True)
class TlsShop:
    """A server with a certificate. heard: whatever was sent to it that is not TLS's own."""

    port: int
    heard: list[bytes]


@pytest.fixture
def shop(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Opens a server, and lets our side trust its authority beside those that it trusts already."""
    context_of_ours = trusted.__wrapped__()
    pem_of_authority = authority.certificate.public_bytes(serialization.Encoding.PEM).decode()
    context_of_ours.load_verify_locations(cadata=pem_of_authority)
    for module in (http, outbound):
        monkeypatch.setattr(module, "trusted", lambda: context_of_ours)

    @asynccontextmanager
    async def opened(kind: str) -> AsyncIterator[TlsShop]:
        key = ec.generate_private_key(ec.SECP256R1())
        other = x509.DNSName("another-shop.example")
        ends = NOW - timedelta(days=1) if kind == "expired" else NOW + timedelta(days=30)
        made = certificate(
            key,
            by=None if kind == "self-signed" else authority,
            name=other if kind == "of another" else LOOPBACK,
            ends=ends,
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (tmp_path / "shop.pem").write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "shop.pem")
        heard: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.read(65_536))
            writer.write(ANSWER)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        try:
            yield TlsShop(server.sockets[0].getsockname()[1], heard)
        finally:
            server.close()
            await server.wait_closed()

    return opened


async def test_a_channel_that_proves_its_name_is_spoken_to(rig: Callable[..., Any], shop: Callable[..., Any]) -> None:
    async with shop("good") as good, rig(base_url=f"https://127.0.0.1:{good.port}", clock=SystemClock()) as the:
        assert (await the.http.request(WRITE)).status == 200
    assert len(good.heard) == 1


@pytest.mark.fault(25, "a certificate that is expired, of another name or its own witness: nothing is said to it")
@pytest.mark.parametrize(
    ("kind", "why"), [("expired", "expired"), ("of another", "127.0.0.1"), ("self-signed", "self-signed")]
)
async def test_a_channel_that_cannot_prove_its_name_is_told_nothing_in_no_way(
    rig: Callable[..., Any], shop: Callable[..., Any], kind: str, why: str
) -> None:
    async with shop(kind) as false, rig(base_url=f"https://127.0.0.1:{false.port}", clock=SystemClock()) as the:
        error = await the.error(replace(WRITE, attempts=2))
        assert type(error) is NotSent
        assert "certificate" in str(error).lower()
        assert why in str(error).replace("self signed", "self-signed")
    assert false.heard == []


@pytest.mark.parametrize("kind", ["good", "expired", "of another", "self-signed"])
async def test_an_outgoing_hook_goes_only_to_whoever_proves_its_name(shop: Callable[..., Any], kind: str) -> None:
    async with shop(kind) as one, Outbound(f"https://127.0.0.1:{one.port}/in", allow_private=True) as hook:
        posted = await hook.post(b"{}", {})
    assert (posted.status, len(one.heard)) == ((200, 1) if kind == "good" else (None, 0))
    assert kind == "good" or "certificate" in posted.problem.lower()

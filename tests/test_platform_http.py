# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of outputs: certificates, secrets, time, size, and what is kept of readings that nobody takes."""

import asyncio
import datetime
import ipaddress
import json
import random
import ssl
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import JSONResponse

from gateway.directory import Directory
from gateway.errors import NotTaken, PlatformError, TryLater
from gateway.operate.counters import Counters
from gateway.platforms import Context
from gateway.platforms._aside import MAX_BYTES, Aside
from gateway.platforms._http import Http, HttpSettings, retry_after_s
from gateway.platforms.ngsi_ld.entities import type_iri
from gateway.releases.release import release
from provisioning.registry import Registry
from tests.http_peer import Broker, HttpPeer, says
from tests.releases_rig import facts, item, rules

pytestmark = pytest.mark.anyio
PATH = "/ngsi-ld/v1/entities"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def peer() -> Iterator[Broker]:
    made = Broker()
    made.start()
    yield made
    made.stop()


def http(folder: Path, peer: HttpPeer, **settings: Any) -> Http:
    table = {"type": "test", "name": "city", "url": peer.url, **settings}
    context = Context("0" * 16, b"", folder, lambda name: name.encode(), Counters(), random.Random(1))
    return Http(HttpSettings.model_validate(table), context)


async def ask(client: Http, **more: Any) -> Any:
    await client.open()
    try:
        return await client.ask("GET", PATH, query={"type": type_iri("Device")}, **more)
    finally:
        await client.close()


def certificate(folder: Path, name: str, days: int = 1) -> None:
    """A certificate that is its own authority, for 127.0.0.1."""
    now, key = datetime.datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(place, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{name}.key").write_bytes(key.private_bytes(*form))


async def test_a_peer_is_believed_by_its_certificate_alone(tmp_path: Path) -> None:
    for name, days in (("good", 1), ("other", 1), ("ended", -1)):
        certificate(tmp_path, name, days)
    for name, trusted, said in (
        ("good", {"ca": "good.pem"}, None),
        ("good", {"ca": "other.pem"}, "CERTIFICATE_VERIFY_FAILED"),
        ("good", {}, "CERTIFICATE_VERIFY_FAILED"),
        ("ended", {"ca": "ended.pem"}, "expired"),
    ):
        peer = Broker(ssl_certfile=str(tmp_path / f"{name}.pem"), ssl_keyfile=str(tmp_path / f"{name}.key"))
        peer.start()
        try:
            if said is None:
                assert (await ask(http(tmp_path, peer, tls=trusted, token="secret"))).status == 200
            else:
                with pytest.raises(PlatformError, match=said):
                    await ask(http(tmp_path, peer, tls=trusted))
        finally:
            peer.stop()


async def test_a_peer_that_wants_a_certificate_of_ours_gets_it(tmp_path: Path) -> None:
    for name in ("server", "client"):
        certificate(tmp_path, name)
    wants = {"ssl_ca_certs": str(tmp_path / "client.pem"), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    files = {"ssl_certfile": str(tmp_path / "server.pem"), "ssl_keyfile": str(tmp_path / "server.key")}
    peer = Broker(**files, **wants)
    peer.start()
    try:
        ours = {"ca": "server.pem", "cert": "client.pem", "key": "client.key"}
        assert (await ask(http(tmp_path, peer, tls=ours))).status == 200
        with pytest.raises(PlatformError):
            await ask(http(tmp_path, peer, tls={"ca": "server.pem"}))
    finally:
        peer.stop()


def test_files_that_do_not_load_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"platforms\.tls"):
        http(tmp_path, Broker(), tls={"ca": "nowhere.pem"})


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({"token": "open sesame"}, "Bearer open sesame"),
        ({"username": "me", "password": "open sesame"}, "Basic bWU6b3BlbiBzZXNhbWU="),
        ({}, ""),
    ],
)
async def test_secrets_are_sent_as_they_were_asked_for(
    tmp_path: Path, peer: Broker, settings: dict[str, str], sent: str
) -> None:
    client = http(tmp_path, peer, **settings)
    await client.open()
    await client.ask("POST", "/ngsi-ld/v1/entityOperations/upsert", body=[])
    await client.close()
    assert peer.requests[0][1].get("authorization", "") == sent


@pytest.mark.parametrize(
    ("status", "kind"), [(400, NotTaken), (413, NotTaken), (422, NotTaken), (429, TryLater), (503, TryLater),
                         (401, PlatformError), (404, PlatformError), (500, PlatformError), (301, PlatformError)]
)  # fmt: skip
async def test_each_refusal_is_an_error_of_its_kind(
    tmp_path: Path, peer: Broker, status: int, kind: type[PlatformError]
) -> None:
    peer.always = says(status, {"title": "no"}, Retry_After="7")
    with pytest.raises(PlatformError, match=str(status)) as raised:
        await ask(http(tmp_path, peer))
    assert type(raised.value) is kind
    assert getattr(raised.value, "after_s", 7.0) == 7.0


async def test_an_answer_that_never_ends_and_one_that_never_comes_are_errors(tmp_path: Path, peer: Broker) -> None:
    peer.always = lambda _: JSONResponse("x" * 5_000_000)
    with pytest.raises(PlatformError, match="longer than"):
        await ask(http(tmp_path, peer))
    heard: list[asyncio.StreamWriter] = []
    deaf = await asyncio.start_server(lambda _, writer: heard.append(writer), "127.0.0.1", 0)
    peer.port = deaf.sockets[0].getsockname()[1]
    async with deaf:
        with pytest.raises(PlatformError, match=r"no answer|Timeout"):
            await ask(http(tmp_path, peer, timeout_s=1.0))
        for writer in heard:
            writer.close()
            await writer.wait_closed()
    peer.port = 1
    with pytest.raises(PlatformError, match=r"attempts failed|refused"):
        await ask(http(tmp_path, peer))


async def test_an_answer_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ok>")
        await writer.drain()
        writer.close()

    server, peer = await asyncio.start_server(babble, "127.0.0.1", 0), Broker()
    peer.port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(PlatformError, match="no JSON"):
            (await ask(http(tmp_path, peer))).json()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0), ("120", 120), (None, 5), ("soon", 5), ("-3", 5), ("Sun, 22 Nov 2026 12:01:00 GMT", 60),
     ("Sun, 22 Nov 2026 11:00:00 GMT", 0), ("Sun, 22 Nov 2026 12:01:00", 5)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float) -> None:
    assert retry_after_s(header, datetime.datetime(2026, 11, 22, 12, tzinfo=UTC)) == seconds


def test_what_is_set_aside_is_bounded(tmp_path: Path) -> None:
    reading = release(item("street_light", power_w=60.5), facts("street_light"), rules()).released
    assert reading is not None
    aside = Aside(tmp_path, "city")
    aside.put(reading, "x" * 10_000)
    path = tmp_path / "city.set-aside.jsonl"
    first = json.loads(path.read_text())
    assert (first["device"], first["values"], len(first["why"])) == ("TRK-0001", {"power_w": 60.5}, 500)
    with path.open("a") as file:
        file.write(" " * MAX_BYTES)
    aside.put(reading, "second")
    assert len(path.read_text().splitlines()) == 1
    assert (tmp_path / "city.set-aside.old.jsonl").stat().st_size > MAX_BYTES
    assert aside.count == 2


async def test_the_register_is_asked_once_a_minute_for_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Directory()
    with pytest.raises(PlatformError, match="not open"):
        await directory.facts(["0" * 16])
    with Registry.create(f"sqlite:///{tmp_path}/register.db", bytes(range(32)), city="Lyktby") as registry:
        directory.open(registry, None)
        assert await directory.facts(["0000000000000001"]) == {"0000000000000001": None}
        registry.register_device("street_light", dev_eui=bytes(7) + b"\1")
        assert await directory.facts(["0000000000000001"]) == {"0000000000000001": None}
        monkeypatch.setattr("gateway.directory.REMEMBER_S", -1.0)
        known = (await directory.facts(["0000000000000001"]))["0000000000000001"]
        assert known is not None
        assert known.kind == "street_light"
        (tmp_path / "register.db").unlink()
        (tmp_path / "register.db").mkdir()
        registry.close()
        with pytest.raises(PlatformError, match="register"):
            await directory.facts(["0000000000000001"])

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The MQTT platform against real brokers: mosquitto (5 and 3.1.1) and amqtt (3.1.1 only), with outages and refusals."""

import asyncio
import contextlib
import datetime
import gc
import ipaddress
import logging
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt import client as paho

from gateway.operate.counters import Counters
from gateway.outbox.feed import Feed
from gateway.outbox.store import Outbox
from gateway.platforms import Context
from gateway.platforms._backoff import BackOff
from gateway.platforms.mqtt import MqttPlatform, Settings, Versions, build
from tests.conftest import Mosquitto
from tests.gateway_rig import GATEWAY_EUI, PATIENCE_S, Subscriber, gateway_certificate
from tests.outbox_rig import arrival, device, open_outbox, published

CERTIFICATE = gateway_certificate()
CONTENT_TYPE = 'application/cose; cose-type="cose-sign1"'


class Rig:
    """A platform on an outbox, inside a test's event loop."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        directory: Any = None,
        gate: Any = None,
        certificate: bytes = b"",
        **settings: object,
    ) -> None:
        self.outbox: Outbox = open_outbox(folder / "outbox.db", max_batch=1)
        self.counters = Counters()
        self.seq = 0
        context = Context(
            GATEWAY_EUI.hex(),
            certificate or CERTIFICATE,
            folder,
            lambda _: b"secret",
            self.counters,
            random.Random(1),
            directory=directory,
            commands=gate,
        )
        table = {"type": "mqtt", "name": "city", "host": "127.0.0.1", "port": port, "retry_max_s": 0.5, **settings}
        self.platform: MqttPlatform = build(Settings.model_validate(table), context)

    async def __aenter__(self) -> "Rig":
        async def call(function: Callable[[Outbox], object]) -> object:
            return function(self.outbox)

        self.feed = Feed("city", call)
        self._task = asyncio.create_task(self.platform.run(self.feed))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        assert self._task.cancelled(), self._task.exception()
        self.outbox.close()

    def accept(self, readings: int) -> None:
        self.outbox.accept([arrival(1, *range(self.seq + 1, self.seq + readings + 1))])
        self.seq += readings
        self.feed.wake()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - conditions in other threads and objects
                await asyncio.sleep(0.01)

    def through(self) -> int:
        """Up to which id the platform has everything, as the disk says."""
        return self.outbox.lanes("city").through

    async def all_published(self) -> None:
        await self.until(lambda: self.through() >= self.outbox.last())

    def counted(self, name: str) -> int:
        return self.counters.snapshot().get("platforms", {}).get(f"city_{name}", 0)


def in_order(subscriber: Subscriber, rig: Rig) -> None:
    """What the subscriber got, repetitions apart, is what the outbox holds, in its order."""
    once = list(dict.fromkeys(subscriber.messages))
    assert once == [row.message for row in rig.outbox.read(0, 100_000)]
    assert published(rig.outbox) == [(device(1), seq) for seq in range(1, rig.seq + 1)]


def everything(subscriber: Subscriber, rig: Rig) -> None:
    """What the subscriber got, repetitions apart, is what the outbox holds; what was live came before what was late."""
    assert set(subscriber.messages) == {row.message for row in rig.outbox.read(0, 100_000)}
    assert published(rig.outbox) == [(device(1), seq) for seq in range(1, rig.seq + 1)]


def test_everything_arrives_in_order_with_its_content_type_and_the_certificate(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    subscriber = Subscriber(mosquitto.port, protocol=paho.MQTTv5).start()

    async def scenario() -> None:
        async with Rig(tmp_path, mosquitto.port) as rig:
            rig.accept(350)  # several windows
            await rig.all_published()
            rig.accept(1)
            await rig.all_published()
            await rig.until(lambda: len(subscriber.messages) == 351)
            in_order(subscriber, rig)

    asyncio.run(scenario())
    subscriber.stop()
    assert subscriber.certificates == [CERTIFICATE]
    assert {properties.ContentType for properties in subscriber.properties} == {CONTENT_TYPE}
    late = Subscriber(mosquitto.port).start()
    late_end = asyncio.run(_until(lambda: late.certificates))
    late.stop()
    assert late_end == [CERTIFICATE], "the certificate is retained"


async def _until(condition: Callable[[], object]) -> object:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - another thread's list
            await asyncio.sleep(0.01)
    return condition()


def test_a_broker_that_is_absent_and_one_that_dies_lose_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    subscriber = Subscriber(mosquitto.port).start()
    mosquitto.stop()

    async def scenario() -> None:
        async with Rig(tmp_path, mosquitto.port) as rig:
            rig.accept(50)
            await rig.until(lambda: rig.counted("connection_failed") >= 2)
            for turn in range(1, 4):
                await asyncio.to_thread(mosquitto.start)
                rig.accept(100)
                await rig.until(lambda turn=turn: rig.counted("connected") == turn)
                rig.accept(300)
                await rig.until(lambda: rig.through() > 0)
                await asyncio.to_thread(mosquitto.stop)  # in the middle of it
            await asyncio.to_thread(mosquitto.start)
            await rig.all_published()
            await rig.until(lambda: len(set(subscriber.messages)) == rig.outbox.last())
            everything(subscriber, rig)

    asyncio.run(scenario())
    subscriber.stop()


def test_what_a_broker_refuses_stays_unpublished_and_is_tried_again(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Under MQTT 5 mosquitto answers what its access list forbids with a PUBACK that says 0x87."""
    acl = tmp_path / "acl"
    allowed = "topic readwrite lykta/v1/+/certificate\ntopic read lykta/v1/#\n"
    acl.write_text(allowed)
    mosquitto.stop()
    mosquitto.config.write_text(mosquitto.config.read_text() + f"acl_file {acl}\n")
    mosquitto.start()

    async def scenario() -> None:
        async with Rig(tmp_path, mosquitto.port) as rig:
            rig.accept(3)
            await rig.until(lambda: rig.counted("refused") >= 2)
            assert rig.through() == 0
            acl.write_text(allowed + "topic readwrite lykta/v1/#\n")
            await asyncio.to_thread(mosquitto.stop)
            await asyncio.to_thread(mosquitto.start)
            await rig.all_published()

    asyncio.run(scenario())


@contextlib.asynccontextmanager
async def amqtt_broker(port: int) -> AsyncIterator[None]:
    from amqtt.broker import Broker

    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "sys_interval": 0})
    await broker.start()
    try:
        yield
    finally:
        await broker.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_a_broker_that_speaks_only_3_1_1_is_found_out(tmp_path: Path, free_port: int) -> None:
    async def scenario() -> None:
        async with amqtt_broker(free_port), Rig(tmp_path, free_port) as rig:
            rig.accept(120)
            await rig.all_published()
            assert rig.counted("connected") == 1
            assert 1 <= rig.counted("connection_failed") <= 3

    asyncio.run(scenario())
    gc.collect()  # amqtt leaves transports open: here that is let pass, in the next test it would not


def test_a_version_that_is_asked_for_is_kept_to(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async def scenario() -> None:
        async with Rig(tmp_path, mosquitto.port, protocol="3.1.1") as rig:
            rig.accept(5)
            await rig.all_published()

    asyncio.run(scenario())
    assert f"as lykta-{GATEWAY_EUI.hex()} (p2," in mosquitto.log.read_text(), "p2 is mosquitto's word for 3.1.1"


def _tls_files(folder: Path) -> None:
    """An authority, and a broker's certificate for 127.0.0.1."""
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "broker.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "broker.key").write_bytes(key.private_bytes(*form))


def test_tls_works_and_an_unknown_authority_does_not(tmp_path: Path, mosquitto: Mosquitto) -> None:
    _tls_files(tmp_path)
    mosquitto.stop()
    lines = f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\n"
    mosquitto.config.write_text(mosquitto.config.read_text() + lines)
    mosquitto.start()

    async def untrusting() -> None:
        async with Rig(tmp_path, mosquitto.port, tls={}) as rig:
            rig.accept(1)
            await rig.until(lambda: rig.counted("connection_failed") >= 2)
            assert rig.counted("connected") == 0

    async def trusting() -> None:
        async with Rig(tmp_path, mosquitto.port, tls={"ca": "broker.pem"}) as rig:
            rig.seq = 1
            rig.accept(250)
            await rig.all_published()

    asyncio.run(untrusting())
    asyncio.run(trusting())


def test_bytes_that_are_not_mqtt_end_the_connection_and_nothing_else(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\x20\x7fHTTP/1.1 400 Bad Request\r\n\r\n" + bytes(range(256)))
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        async with server, Rig(tmp_path, server.sockets[0].getsockname()[1]) as rig:
            rig.accept(1)
            await rig.until(lambda: rig.counted("connection_failed") >= 3)
            assert rig.through() == 0

    asyncio.run(scenario())


def test_versions_are_tried_in_a_sensible_order() -> None:
    versions = Versions("auto")
    assert versions.current == "5"
    assert not versions.closed_early(), "a broker that is just stopping closes early too"
    assert versions.closed_early()
    assert versions.current == "3.1.1"
    versions.worked()
    versions.refused()
    assert versions.current == "5", "the broker may have been replaced"
    assert versions.refused()
    fixed = Versions("5")
    assert not fixed.refused()
    assert fixed.current == "5"


def test_pauses_grow_to_their_limit_and_differ(rng: random.Random) -> None:
    back_off = BackOff(0.5, 15, rng)
    pauses = [back_off.pause_s() for _ in range(30)]
    assert all(0.25 <= pause <= 15 for pause in pauses)
    assert min(pauses[10:]) >= 7.5
    assert len(set(pauses[10:])) > 10
    back_off.reset()
    assert back_off.pause_s() <= 0.5

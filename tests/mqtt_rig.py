# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""For tests with brokers: whoever hears everything, a wire to look into, and certificates good and bad."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import threading
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.gateway_rig import PATIENCE_S


class Listener:
    """Everything under a filter, by MQTT 5."""

    def __init__(self, port: int, topics: str = "lykta/v1/#") -> None:
        self.heard: list[paho.MQTTMessage] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(topics, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _client, _data, message: self.heard.append(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def under(self, part: str) -> list[paho.MQTTMessage]:
        """What came on topics that hold *part*."""
        return [message for message in list(self.heard) if part in message.topic]

    def publish(self, topic: str, payload: bytes, **options: Any) -> None:
        """Publish with QoS 1."""
        self._client.publish(topic, payload, 1, **options).wait_for_publish(PATIENCE_S)

    def stop(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


class Wire:
    """A line to a broker that notes what a client sends."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self.sent = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()
        self._all: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> int:
        """Return the port to connect to."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        back, there = await asyncio.open_connection("127.0.0.1", self._broker_port)
        self._tasks = {
            asyncio.create_task(self._copy(reader, there, self.sent)),
            asyncio.create_task(self._copy(back, writer, bytearray())),
        }
        self._all |= self._tasks

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, noted: bytearray) -> None:
        try:
            while data := await reader.read(65536):
                noted += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # the other side went first
        finally:
            writer.transport.abort()

    def cut(self) -> None:
        """Break the line: the broker hears no goodbye."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """End."""
        self.cut()
        await asyncio.gather(*self._all, return_exceptions=True)
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0.01)  # for transports that were aborted


class Authority:
    """Issues certificates into a folder: NAME.pem and NAME.key."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.path = folder / f"{name}.pem"
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self._name, self._name, self._key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=2))
        builder = builder.not_valid_after(now + datetime.timedelta(days=2))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, days: float = 1.0) -> x509.Certificate:
        """Write a certificate that ends in *days*, with its key."""
        now = datetime.datetime.now(datetime.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1.5))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(address, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        (self._folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (self._folder / f"{name}.key").touch(mode=0o600)
        (self._folder / f"{name}.key").write_bytes(key.private_bytes(*form))
        return certificate

    def revoke(self, *certificates: x509.Certificate) -> Path:
        """Write a list of revoked certificates."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder(self._name, now, now + datetime.timedelta(days=1))
        for each in certificates:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder(each.serial_number, now - datetime.timedelta(hours=1)).build()
            )
        path = self._folder / "revoked.pem"
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

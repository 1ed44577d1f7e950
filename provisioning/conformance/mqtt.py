# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MQTT: version 5, then 3.1.1; in each a subscription, a test message, its PUBACK and its way back."""

from __future__ import annotations

import math
import secrets
import ssl
import struct
import time
from typing import Any, Final
from urllib.parse import urlsplit

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from provisioning.conformance.steps import Minutes, StepFailed, Target

_VERSIONS: Final = (("MQTT 5", MQTTProtocolVersion.MQTTv5), ("MQTT 3.1.1", MQTTProtocolVersion.MQTTv311))
_UNSUPPORTED: Final = 132  # MQTT 5, 2.4; paho gives it for the 1 of 3.1.1, too
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_POLL_S: Final = 0.1
_MAX_PACKET_BYTES: Final = 65536
_NOT_MQTT: Final = (MQTTException, struct.error, IndexError, KeyError, ValueError)
"""What paho's parser raises for bytes that are no MQTT."""
_WHY: Final = "Gateways and systems exchange their messages in this way."


class _NotSpoken(Exception):
    """The broker does not know this version."""


def check(target: Target, minutes: Minutes) -> None:
    """Test the broker: it speaks one of the versions, and each that it speaks works. Raises StepFailed."""
    failed: StepFailed | None = None
    spoken = 0
    for name, version in _VERSIONS:
        visit = _Visit(target, version)
        try:
            spoken += _versions_steps(visit, name, minutes, last=not spoken and version == _VERSIONS[-1][1])
        except _NotSpoken as error:
            minutes.absent(f"{name}: connect", str(error))
        except StepFailed as error:
            if not visit.connected:
                raise
            failed, spoken = error, spoken + 1
        finally:
            visit.leave()
    if failed is not None:
        raise failed


def _versions_steps(visit: _Visit, name: str, minutes: Minutes, *, last: bool) -> int:
    try:
        note_of_entry = visit.connect()
    except _NotSpoken as error:
        if not last:
            raise
        with minutes.step(f"{name}: connect"):
            raise _wrong("The broker speaks neither MQTT 5 nor MQTT 3.1.1.", error) from error
    except StepFailed as error:
        with minutes.step(f"{name}: connect"):
            raise error from None
    with minutes.step(f"{name}: connect") as note:
        note.text = note_of_entry
    with minutes.step(f"{name}: subscribe") as note:
        note.text = visit.subscribe()
    with minutes.step(f"{name}: publish and PUBACK"):
        visit.publish()
    with minutes.step(f"{name}: the message comes back"):
        visit.receive()
    return 1


class _Visit:
    """One connection to the broker, in this thread; every wait has an end."""

    def __init__(self, target: Target, version: MQTTProtocolVersion) -> None:
        self._target, self._version = target, version
        self._nonce = secrets.token_hex(8)
        self._topic = target.topic or f"lykta/test/{self._nonce}"
        self._payload = f"lykta platform test {self._nonce}".encode()
        self._seen: dict[str, Any] = {}
        self.connected = False
        self._client = self._new_client()

    def _new_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"lykta-test-{self._nonce}", protocol=self._version,
            reconnect_on_failure=False,
            clean_session=None if self._version == MQTTProtocolVersion.MQTTv5 else True,
        )  # fmt: skip
        client.connect_timeout = self._target.timeout_s
        client.on_connect = lambda _c, _u, _flags, code, _p: self._seen.update(connack=code)
        client.on_subscribe = lambda _c, _u, _mid, codes, _p: self._seen.update(suback=codes)
        client.on_publish = lambda _c, _u, _mid, code, _p: self._seen.update(puback=code)
        client.on_message = self._on_message
        self._target.access.equip(client)
        return client

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        if message.topic == self._topic and message.payload == self._payload:
            self._seen["message"] = True

    def connect(self) -> str:
        """Connect. Raises StepFailed, and _NotSpoken where the broker does not know the version."""
        parts = urlsplit(self._target.url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        more: dict[str, Any] = {}
        if self._version == MQTTProtocolVersion.MQTTv5:
            more = {"clean_start": True, "properties": Properties(PacketTypes.CONNECT)}  # type: ignore[no-untyped-call]
            more["properties"].MaximumPacketSize = _MAX_PACKET_BYTES
        try:
            # paho bounds the TLS handshake by the keep-alive.
            self._client.connect(host, port, max(5, math.ceil(self._target.timeout_s)), **more)
        except ssl.SSLCertVerificationError as error:
            raise StepFailed(
                f"The broker's certificate is not one to trust: {error.verify_message}.",
                value=self._target.url,
                reason="Whoever answers there may be somebody else.",
                next_step="name the authority of the broker with --ca FILE",
            ) from error
        except (OSError, ValueError) as error:
            raise StepFailed(
                f"The broker cannot be reached: {error}.",
                value=self._target.url,
                reason="An interface that is not there lets nobody talk.",
                next_step="check api_url with lykta platform list --json, and the network between",
            ) from error
        code = self._wait("connack", "The broker does not answer CONNECT.")
        if code.is_failure:
            if code.value == _UNSUPPORTED:
                raise _NotSpoken(str(code))
            step = f"lykta platform test {self._target.platform_id} --username NAME --password-ref REF"
            raise StepFailed("The broker refuses this client.", value=code, reason=_WHY, next_step=step)
        self.connected = True
        return f"{host}:{port}{', TLS' if self._target.access.tls is not None else ''}"

    def subscribe(self) -> str:
        """Subscribe to the test topic. Raises StepFailed."""
        self._client.subscribe(self._topic, qos=1)
        codes = self._wait("suback", "The broker does not answer SUBSCRIBE.")
        if any(each.is_failure for each in codes):
            raise _wrong("The broker refuses the subscription.", f"{self._topic}: {codes[0]}")
        return self._topic

    def publish(self) -> None:
        """Publish the test message. Raises StepFailed."""
        self._client.publish(self._topic, self._payload, qos=1)
        code = self._wait("puback", "The broker does not acknowledge the message (PUBACK).")
        if code.is_failure:
            raise _wrong("The broker refuses the message.", f"{self._topic}: {code}")

    def receive(self) -> None:
        """Wait for the test message. Raises StepFailed."""
        self._wait("message", "The message does not come back to who subscribed to it.")

    def leave(self) -> None:
        """End the connection."""
        self._client.disconnect()
        self._client.loop(0)

    def _wait(self, what: str, silent: str) -> Any:
        deadline_s = time.monotonic() + self._target.timeout_s
        while what not in self._seen:
            try:
                code = self._client.loop(_POLL_S)
            except _NOT_MQTT as error:
                raise _wrong("What answers there does not speak MQTT.", f"{type(error).__name__}: {error}") from error
            if what in self._seen:
                break
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                if what == "connack":  # how some brokers answer a version that they do not know; others are silent
                    raise _NotSpoken("the broker closed the connection")
                raise _wrong(f"The broker closed the connection. {silent}", self._target.url)
            if time.monotonic() > deadline_s:
                found = f"nothing within {self._target.timeout_s:g} s"
                raise _NotSpoken(found) if what == "connack" else _wrong(silent, found)
        return self._seen[what]


def _wrong(state: str, found: object) -> StepFailed:
    return StepFailed(
        state,
        value=found,
        reason=_WHY,
        next_step="--topic TOPIC names one that this client may use; else the broker's log",
    )

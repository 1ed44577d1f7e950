# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One MQTT connection: paho's client driven from the event loop. A connection is used once and never reconnects.

paho keeps its own queue of what is in flight; a new client for each connection keeps the outbox the only queue.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from paho.mqtt import MQTTException
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from gateway.errors import PlatformError, ProtocolRefused
from gateway.operate.logs import EventLog
from gateway.platforms._properties import PublishProperties
from gateway.platforms._quick_publish import QuickClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paho.mqtt.properties import Properties

Version = Literal["5", "3.1.1"]

_CONNECT_S = 5.0
_MISC_EVERY_S = 1.0
_UNSUPPORTED_VERSION = 0x84
"""MQTT 5 section 3.2.2.2; paho reports the 3.1.1 return code 1 (section 3.2.2.3 there) under the same number."""
_FAILURES_FROM = 0x80
"""Reason codes (MQTT 5 section 2.4)."""
_MAX_IN_FLIGHT = 65535
COSE_SIGN1 = 'application/cose; cose-type="cose-sign1"'
"""RFC 9052 section 11.3.1."""
_log = EventLog("platforms.mqtt")
_BROKEN = (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, MQTTException, OSError)
"""What paho's parser raises for bytes that are not MQTT."""
_Result = TypeVar("_Result")


class ClosedEarly(PlatformError):
    """The connection was closed before a CONNACK: brokers that speak only 3.1.1 do that to MQTT 5."""


@dataclass(frozen=True)
class Target:
    """Where to connect, and as whom."""

    host: str
    port: int
    client_id: str
    keepalive_s: int
    username: str | None
    password: str | None
    tls: ssl.SSLContext | None
    will: tuple[str, bytes] | None = None
    """Topic and payload that the broker publishes, retained, when the connection breaks."""


class TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, or close."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class Connection:
    """An open connection. ``watch`` ends, with PlatformError, when it does."""

    def __init__(self, target: Target, version: Version, on_ack: Callable[[int, int, str], None]) -> None:
        self._version = version
        self.five = version == "5"
        self._unacknowledged: set[int] = set()
        self._freed = asyncio.Event()
        self.receive_maximum = _MAX_IN_FLIGHT
        """How many publications the broker takes at a time (MQTT 5 section 3.2.2.3.3)."""
        self._alias_maximum = 0
        self._aliases: dict[str, int] = {}
        self._filters: dict[int, str] = {}
        self.refused_filters: list[str] = []
        self._on_ack = on_ack
        self._loop = asyncio.get_running_loop()
        self._connack: asyncio.Future[int] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._closed.add_done_callback(lambda future: future.exception())  # looked at: no warning when nobody watches
        self._over = False
        self._descriptor = -1
        self._socket: Any = None  # a socket or, under TLS, what wraps one
        self._flushing = False
        self._client = self._make(target)

    async def open(self, target: Target) -> int:
        """Connect; return how many publications the broker takes at a time. Raises PlatformError and its kinds."""
        try:
            # Name look-up, TCP and TLS block, so they have a thread. A daemon thread: it must not hold up the exit.
            await _in_thread(lambda: self._connect(target))
        except (OSError, ValueError) as error:
            raise PlatformError(f"{target.host}:{target.port}: {error}") from error
        self._attach()
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await self._connack
        except TimeoutError as error:
            raise ClosedEarly(f"{target.host}:{target.port}: no CONNACK within {_CONNECT_S:.0f} s") from error

    async def room(self, reserved: int = 0) -> None:
        """Return when the broker takes one more publication, and *reserved* others besides where it takes as many.

        Raises PlatformError when the connection ends meanwhile.
        """
        while len(self._unacknowledged) >= max(1, self.receive_maximum - reserved):
            self._freed.clear()
            await self._freed.wait()
            if self._closed.done():
                self._closed.result()

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        content_type: str = COSE_SIGN1,
        expiry_s: int = 0,
        often: bool = False,
        user: Sequence[tuple[str, str]] = (),
    ) -> int:
        """Send with QoS 1; return the packet identifier that the acknowledgement will name.

        What MQTT 5 adds: *content_type*, *user* properties, an end after *expiry_s* (0: none), and for a topic that
        comes *often* an alias, where the broker has some left.
        """
        properties = None
        if self.five:
            alias = self._aliases.get(topic, 0) if often else 0
            known = alias > 0
            if often and not known and len(self._aliases) < self._alias_maximum:
                alias = self._aliases[topic] = len(self._aliases) + 1
            properties = PublishProperties(content_type, expiry_s, alias, user)
            topic = "" if known else topic
        mid = self._quickly(topic, payload, properties, retain=retain) if often else None
        if mid is None:
            mid = self._ordinarily(topic, payload, cast("Properties", properties), retain=retain)
        self._unacknowledged.add(mid)
        return mid

    def _quickly(self, topic: str, payload: bytes, properties: PublishProperties | None, *, retain: bool) -> int | None:
        if self._descriptor < 0 or self._closed.done():
            return None
        packed = b"" if properties is None else properties.pack()
        mid = self._client.quickly(topic.encode(), payload, packed, retain=retain)
        if mid is not None and not self._flushing:  # with all else that is published in this turn of the event loop
            self._flushing = True
            self._loop.call_soon(self._flush)
        return mid

    def _ordinarily(self, topic: str, payload: bytes, properties: Properties | None, *, retain: bool) -> int:
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise PlatformError(f"cannot publish: {paho.error_string(info.rc)}")
        return info.mid

    def subscribe(self, topic: str, on_message: Callable[[str, bytes], None]) -> None:
        """Receive what is published under a filter, from now on: topic and payload."""
        self._client.message_callback_add(
            topic, lambda _client, _data, message: on_message(message.topic, bytes(message.payload))
        )
        code, mid = self._client.subscribe(topic, 1)
        if code not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN) or mid is None:
            raise PlatformError(f"cannot subscribe: {paho.error_string(code)}")
        self._filters[mid] = topic

    async def watch(self) -> None:
        """Keep the connection alive. Raises PlatformError when it is over."""
        while True:
            done, _ = await asyncio.wait([self._closed], timeout=_MISC_EVERY_S)
            if done:
                self._closed.result()
            self._ran(self._client.loop_misc())

    def fail(self, error: PlatformError) -> None:
        """End the connection with *error*."""
        if not self._connack.done():
            self._connack.set_exception(error)
        if not self._closed.done():
            self._closed.set_exception(error)
        self._freed.set()

    def close(self) -> None:
        """Say goodbye if the line takes it, and free the socket."""
        self._over = True
        self._connack.cancel()
        self._client.disconnect()
        if self._descriptor >= 0:
            self._client.loop_write()
            with suppress(OSError):
                self._socket.flush()
        self._detach()
        if self._socket is not None:
            self._socket.close()

    def _connect(self, target: Target) -> None:
        """Runs in its thread, and may outlast everybody's interest."""
        self._client.connect(target.host, target.port, keepalive=target.keepalive_s)
        opened = self._client.socket()
        if self._over and opened is not None:
            opened.close()

    def _make(self, target: Target) -> QuickClient:
        five = self._version == "5"
        client = QuickClient(
            CallbackAPIVersion.VERSION2,
            client_id=target.client_id,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            clean_session=None if five else True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_S
        client.max_inflight_messages_set(0)  # the window is ours
        if target.username is not None:
            client.username_pw_set(target.username, target.password)
        if target.tls is not None:
            client.tls_set_context(target.tls)
        if target.will is not None:
            client.will_set(*target.will, qos=1, retain=True)
        client.on_connect = self._connected
        client.on_publish = self._acknowledged
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.quick, client.on_quick = set(), self._arrived
        return client

    def _attach(self) -> None:
        self._socket = self._client.socket()
        if self._socket is None:
            raise ClosedEarly("the connection closed at once")
        self._descriptor = self._socket.fileno()
        self._client.on_socket_close = lambda *_: self._detach()
        self._client.on_socket_register_write = lambda *_: self._loop.add_writer(self._descriptor, self._write)
        self._client.on_socket_unregister_write = lambda *_: self._stop_writing()
        self._loop.add_reader(self._descriptor, self._read)
        if self._client.want_write():
            self._loop.add_writer(self._descriptor, self._write)

    def _stop_writing(self) -> None:
        self._loop.remove_writer(self._descriptor)

    def _detach(self) -> None:
        if self._descriptor >= 0:
            self._client.on_socket_register_write = None
            self._client.on_socket_unregister_write = None
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._descriptor = -1

    def _read(self) -> None:
        try:
            while True:
                if not self._client.take_pubacks():
                    self._ran(self._client.loop_read())
                # TLS may hold bytes that the event loop cannot see any more.
                if self._descriptor < 0 or not getattr(self._socket, "pending", int)():
                    return
        except _BROKEN as error:
            self._end(f"not MQTT: {error!r}")

    def _write(self) -> None:
        self._socket.gather()
        self._ran(self._client.loop_write())
        if self._flush() and not self._client.want_write():
            self._stop_writing()

    def _flush(self) -> bool:
        """Send what is on the socket; tell whether all of it went. What did not follows when the kernel takes more."""
        self._flushing = False
        if self._descriptor < 0:
            return False
        try:
            done: bool = self._socket.flush()
        except OSError as error:
            self._end(str(error))
            return False
        if not done:
            self._loop.add_writer(self._descriptor, self._write)
        return done

    def _ran(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._end(paho.error_string(code))

    def _end(self, why: str) -> None:
        self._detach()
        self.fail(PlatformError(why) if self._connack.done() else ClosedEarly(f"closed before CONNACK: {why}"))

    def _connected(self, _client: object, _data: object, _flags: object, reason: ReasonCode, properties: Any) -> None:
        if not reason.is_failure:
            self._alias_maximum = int(getattr(properties, "TopicAliasMaximum", 0))
            self.receive_maximum = int(getattr(properties, "ReceiveMaximum", _MAX_IN_FLIGHT))
            if not self._connack.done():
                self._connack.set_result(self.receive_maximum)
            return
        kind = ProtocolRefused if reason.value == _UNSUPPORTED_VERSION else PlatformError
        self.fail(kind(f"the broker refused the connection: {reason}"))

    def _acknowledged(self, _client: object, _data: object, mid: int, reason: ReasonCode, _properties: object) -> None:
        self._arrived(mid, reason.value)

    def _arrived(self, mid: int, reason: int) -> None:
        self._unacknowledged.discard(mid)
        self._freed.set()
        if reason < _FAILURES_FROM:
            self._on_ack(mid, 0, "")
        else:
            self._on_ack(mid, reason, str(ReasonCode(PacketTypes.PUBACK, identifier=reason)))

    def _subscribed(
        self, _client: object, _data: object, mid: int, reasons: Sequence[ReasonCode], _properties: object
    ) -> None:
        topic = self._filters.pop(mid, "?")
        if any(reason.is_failure for reason in reasons):
            self.refused_filters.append(topic)
            _log.error("subscription_refused", filter=topic, effect="what is published there does not come")

    def _disconnected(self, _client: object, _data: object, _flags: object, reason: ReasonCode, _p: object) -> None:
        self._end(f"disconnected: {reason}")


async def _in_thread(function: Callable[[], _Result]) -> _Result:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Result] = loop.create_future()

    def settle(result: _Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        try:
            outcome: tuple[_Result | None, BaseException | None] = (function(), None)
        except (OSError, ValueError) as error:
            outcome = (None, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=work, name="mqtt-connect", daemon=True).start()
    return await future

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Subscribe to signed messages over MQTT: version 5, or 3.1.1 where the broker speaks nothing newer.

One thread, no queue: a message is acknowledged after its handler returned, so that a broker with a persistent
session keeps what was not handled. With a `commit` handler messages are acknowledged in batches, after it returned. A
broker that is absent or goes away is waited for.
"""

from __future__ import annotations

import secrets
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from provisioning.broker_access import Access
from provisioning.enroll import Broker
from provisioning.errors import BrokerError

DEFAULT_PREFIX: Final = "lykta/v1"
RECORDS: Final = "records"
CERTIFICATE: Final = "certificate"
CERTIFICATES: Final = "certificates/+"  # also those of keys that a gateway had before
SESSION_EXPIRY_S: Final = 7 * 24 * 3600
_KEEPALIVE_S: Final = 20
_CONNECT_TIMEOUT_S: Final = 5.0
_ANSWER_TIMEOUT_S: Final = 3.0
_POLL_S: Final = 0.2
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 8.0
_UNSUPPORTED_VERSION: Final = 132  # MQTT 5, 2.4
_AT_LEAST_ONCE: Final = 1
_BATCH: Final = 200  # messages made durable together
# What paho's parser raises for bytes that are no MQTT. Handlers raise none of these.
_NOT_MQTT: Final = (MQTTException, struct.error, IndexError, KeyError)
_GRANTED_QOS_0: Final = 0
_REFUSED: Final = 128  # SUBACK reason codes from here on are refusals


@dataclass
class Handlers:
    """What is called, all from the thread that runs the subscriber."""

    message: Callable[[bytes], None]
    certificate: Callable[[bytes], None]
    status: Callable[[str], None] = field(default=lambda _text: None)
    commit: Callable[[], None] | None = None
    """Make durable what was handed over; OSError: it is not, and has to come again."""
    outgoing: Callable[[], list[tuple[str, bytes]]] = field(default=list)
    """What to publish now, retained: topic below the prefix, and payload."""
    outgoing_expiry_s: int = 0
    """How long the broker keeps it, under MQTT 5; 0: for ever."""
    topics: tuple[str, ...] = (CERTIFICATES, CERTIFICATE)
    """What of each gateway is subscribed to besides `wanted`: certificates."""
    wanted: str = RECORDS


class Subscriber:
    """Receives records and certificates of all gateways. With a `client_id` the broker keeps the session."""

    def __init__(
        self,
        broker: Broker,
        handlers: Handlers,
        *,
        client_id: str | None = None,
        prefix: str = DEFAULT_PREFIX,
        access: Access | None = None,
    ) -> None:
        self._broker = broker
        self._access = access or Access()
        self._handlers = handlers
        self._persistent = client_id is not None
        self._client_id = client_id or f"lykta-verify-{secrets.token_hex(6)}"
        self._prefix = prefix
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._answered = False  # by this connection
        self._refusal = ""
        self._pause_s = _FIRST_PAUSE_S
        self._trouble = ""  # said already
        self._unacknowledged: list[int] = []
        self.subscribed = False

    def run(self, until: Callable[[], bool]) -> None:
        """Receive until `until` returns true; it is asked several times a second. Raises BrokerError.

        BrokerError only for what waiting cannot mend: a broker that refuses this client.
        """
        while not until():
            client = self._new_client()
            try:
                client.connect(self._broker.host, self._broker.port, _KEEPALIVE_S, **self._session())
            except ssl.SSLCertVerificationError as error:
                raise BrokerError(
                    f"The broker's certificate is not one to trust: {error.verify_message}.",
                    value=str(self._broker),
                    reason="Whoever answers there may be somebody else.",
                    next_step="name the authority of the broker with --broker-ca FILE",
                ) from error
            except OSError as error:  # TimeoutError and name resolution too
                self._say_once(f"broker {self._broker} cannot be reached ({error}); trying again")
                self._wait(until)
                continue
            done = self._serve(client, until)
            if self._refusal:
                raise BrokerError(
                    f"The broker refuses this client: {self._refusal}.",
                    value=str(self._broker),
                    next_step="check the broker's access rules for this client and these topics",
                )
            if done:
                return
            self._wait(until)

    def _say_once(self, trouble: str) -> None:
        """For each reason once, however often it is tried, until a connection stands."""
        if trouble != self._trouble:
            self._handlers.status(trouble)
        self._trouble = trouble

    def _serve(self, client: Client, until: Callable[[], bool]) -> bool:
        """Receive on this connection for as long as it lasts; true when `until` said that it is enough."""
        self._answered = self.subscribed = False
        deadline_s = time.monotonic() + _ANSWER_TIMEOUT_S
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        done = False
        try:
            while code == MQTTErrorCode.MQTT_ERR_SUCCESS and not self._refusal and not done:
                code = self._loop(client)
                done = until()
                if not self._answered and time.monotonic() > deadline_s:
                    break
        finally:
            self.subscribed = False
            client.disconnect()  # sent at once
        if not done and not self._answered:
            self._say_once(f"broker {self._broker} ended the connection before it answered; trying again")
            self._change_protocol()  # some brokers answer a version that they do not know with silence
        return done

    def _loop(self, client: Client) -> MQTTErrorCode:
        try:
            code = client.loop(_POLL_S)
            taken = 0
            while taken < len(self._unacknowledged) < _BATCH and code == MQTTErrorCode.MQTT_ERR_SUCCESS:
                taken = len(self._unacknowledged)
                code = client.loop(0)
            return code if self._commit(client) else MQTTErrorCode.MQTT_ERR_UNKNOWN
        except _NOT_MQTT as error:
            self._handlers.status(f"what {self._broker} sends is not MQTT ({type(error).__name__}); trying again")
            return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _commit(self, client: Client) -> bool:
        """Make durable, then acknowledge, then publish. False when the connection must begin anew."""
        if self._handlers.commit is not None:
            try:
                self._handlers.commit()
            except OSError as error:
                self._handlers.status(f"{error}; what came is not acknowledged, and comes again")
                return False
        for mid in self._unacknowledged:
            client.ack(mid, _AT_LEAST_ONCE)
        self._unacknowledged = []
        if self.subscribed:
            for topic, payload in self._handlers.outgoing():
                properties = self._expiry()
                client.publish(f"{self._prefix}/{topic}", payload, _AT_LEAST_ONCE, retain=True, properties=properties)
        return True

    def _change_protocol(self) -> None:
        newer = self._protocol == MQTTProtocolVersion.MQTTv5
        self._protocol = MQTTProtocolVersion.MQTTv311 if newer else MQTTProtocolVersion.MQTTv5
        self._pause_s = _FIRST_PAUSE_S

    def _wait(self, until: Callable[[], bool]) -> None:
        end_s = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        while time.monotonic() < end_s and not until():
            time.sleep(0.05)

    def _session(self) -> dict[str, Any]:
        if self._protocol != MQTTProtocolVersion.MQTTv5:
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's, untyped
        if self._persistent:
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
        return {"clean_start": not self._persistent, "properties": properties}

    def _expiry(self) -> Properties | None:
        if self._protocol != MQTTProtocolVersion.MQTTv5 or not self._handlers.outgoing_expiry_s:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's, untyped
        properties.MessageExpiryInterval = self._handlers.outgoing_expiry_s
        return properties

    def _new_client(self) -> Client:
        five = self._protocol == MQTTProtocolVersion.MQTTv5
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if five else not self._persistent,
            protocol=self._protocol,
            manual_ack=self._handlers.commit is not None,
        )
        self._access.equip(client)
        self._unacknowledged = []
        client.connect_timeout = _CONNECT_TIMEOUT_S
        self._unsaid = ""
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(
        self, client: Client, _data: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._answered = True
        if reason.is_failure:
            if reason.value == _UNSUPPORTED_VERSION and self._protocol == MQTTProtocolVersion.MQTTv5:
                self._change_protocol()
            elif reason.value != _UNSUPPORTED_VERSION:
                self._refusal = str(reason)
            return
        self._pause_s, self._trouble = _FIRST_PAUSE_S, ""
        # Certificates first: they are retained and let the records that follow be checked at once.
        topics = [
            (f"{self._prefix}/+/{name}", _AT_LEAST_ONCE) for name in (*self._handlers.topics, self._handlers.wanted)
        ]
        client.subscribe(topics)
        version = "5" if self._protocol == MQTTProtocolVersion.MQTTv5 else "3.1.1"
        kept = ", session resumed" if flags.session_present else ""
        connection = f"connected to {self._broker}, MQTT {version}{kept}"
        # Said when the broker keeps what comes for us: in a resumed session now, else from the SUBACK on.
        self._unsaid = "" if flags.session_present else connection
        if flags.session_present:
            self._handlers.status(connection)

    def _on_subscribe(
        self, _client: Client, _data: Any, _id: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(reason.value >= _REFUSED for reason in reasons):
            self._refusal = f"it does not let it subscribe to {self._prefix}/+/{self._handlers.wanted}"
        elif any(reason.value == _GRANTED_QOS_0 for reason in reasons):
            self._refusal = "it grants QoS 0 only, which may lose messages"
        else:
            self.subscribed = True
            if self._unsaid:
                self._handlers.status(self._unsaid)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if self._handlers.commit is not None and message.qos:
            self._unacknowledged.append(message.mid)
        if message.topic.endswith(f"/{CERTIFICATE}") or "/certificates/" in message.topic:
            self._handlers.certificate(bytes(message.payload))
        else:
            self._handlers.message(bytes(message.payload))

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if self.subscribed and reason.is_failure:
            self._handlers.status(f"connection to {self._broker} lost ({reason}); trying again")
            self.subscribed = False

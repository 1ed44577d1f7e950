# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MQTT: envelopes with QoS 1 under ``<prefix>/<gateway EUI>/records``, certificate and status retained beside them.

Speaks MQTT 5 where the broker does, 3.1.1 where not. A broker that is absent is a normal state.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from pydantic import BeforeValidator, Field, StringConstraints

from gateway import plugins
from gateway.errors import OutputRefused, PlatformError, ProtocolRefused, StoreUnavailable
from gateway.operate.logs import EventLog, Seldom
from gateway.platforms import _commands as commands
from gateway.platforms._backoff import BackOff
from gateway.platforms._beside import JSON, DeviceTopics, Places, status
from gateway.platforms._commands import CommandDesk
from gateway.platforms._paho import ClosedEarly, Connection, Target, TlsSocket, Version
from gateway.platforms._receipts import ReceiptDesk
from gateway.platforms._tls import TlsSettings, tls_context
from gateway.platforms._window import Window
from provisioning.errors import ProvisioningError
from provisioning.outputs import Wanted

if TYPE_CHECKING:
    from gateway.outbox.feed import Feed
    from gateway.platforms import Context

_FIRST_RETRY_S = 0.5
_NOTE_EVERY_S = 0.1
_STALLED_S = 30.0
_RESERVED = 2
"""Publications that the broker takes are left for answers, so that full windows do not hold them up."""
PEM = "application/x-pem-file"


def _whole(_release: object) -> None:
    raise ValueError(
        'an envelope is signed whole, so nothing can be left out of it: type = "mqtt_released" sends by MQTT what may '
        "be released, each reading signed; platform_id lets the register say whether this one may have everything"
    )


class Settings(plugins.PlatformSettings):
    """``[[platforms]]`` with ``type = "mqtt"``."""

    type: Literal["mqtt"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    topic_prefix: Annotated[str, StringConstraints(pattern=r"^[^#+\x00/][^#+\x00]*[^#+\x00/]$")] = "lykta/v1"
    username: str | None = None
    password: str | None = None
    """Reference to the password."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    window: Annotated[int, Field(ge=1, le=1000)] = 100
    """Envelopes sent and not yet acknowledged, at most."""
    retry_max_s: Annotated[float, Field(ge=0.5, le=600)] = 15.0
    """The longest pause between two tries."""
    tls: TlsSettings | None = None
    receipts: Annotated[list[str], Field(default_factory=list)]
    """PEM files of certificates whose signed receipts count: what they receipt may go, what they lack goes again."""
    message_expiry_s: Annotated[int, Field(ge=0, le=0xFFFFFFFF)] = 0
    """How long the broker keeps an envelope for those who are away (MQTT 5); 0: as long as it likes."""
    user_properties: bool = True
    """Whether each envelope says outside which records of which stream it holds (MQTT 5)."""
    by_device: bool = False
    """Whether each reading is published once more, as JSON, under ``devices/<owner>/<kind>/<DevEUI>``."""
    commands: bool = False
    """Whether signed commands are taken from this broker; the register says whose, and results are published there."""
    results_expiry_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 86400
    """How long the broker keeps a command's result for those who are away (MQTT 5)."""
    platform_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The platform behind it, as the register calls it. With it the register is asked whether it may have all."""
    release: Annotated[None, BeforeValidator(_whole)] = None
    resend_after_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    """How long a platform that signs receipts may lack a record before it is sent again."""

    @property
    def wanted(self) -> Wanted | None:
        """As the register judges it; None where nobody asked for that."""
        return None if self.platform_id is None else Wanted(self.name, "restricted", self.platform_id)


class Versions:
    """Which version of MQTT to try next. With ``auto``: 5 until the broker shows that it does not speak it."""

    def __init__(self, setting: Literal["auto", "5", "3.1.1"]) -> None:
        self._auto = setting == "auto"
        self.current: Version = "5" if setting == "auto" else setting
        self._closed_early = 0

    def worked(self) -> None:
        """There was a CONNACK."""
        self._closed_early = 0

    def refused(self) -> bool:
        """The broker said no to the version; tell whether there is another one to try at once."""
        self._closed_early = 0
        if self._auto:
            self.current = "3.1.1" if self.current == "5" else "5"
        return self._auto and self.current == "3.1.1"

    def closed_early(self) -> bool:
        """No CONNACK: a 3.1.1 broker does that to MQTT 5, but so does one that is just stopping. Twice is enough."""
        self._closed_early += 1
        return self.refused() if self._closed_early >= 2 else False


class MqttPlatform:
    """One broker."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self.name = settings.name
        self.longest_pause_s = settings.retry_max_s
        self._settings = settings
        self._context = context
        self._topic = f"{settings.topic_prefix}/{context.eui}"
        self._log = EventLog("platforms.mqtt")
        self._seldom = Seldom()
        self._versions = Versions(settings.protocol)
        self._back_off = BackOff(_FIRST_RETRY_S, settings.retry_max_s, context.random)
        self._window = Window(settings.window)
        self._connection: Connection | None = None
        self._feed: Feed | None = None
        self._receipts = ReceiptDesk(settings.name, settings.receipts, settings.resend_after_s, context)
        self._commands = CommandDesk(settings.name, self._topic, context, settings.results_expiry_s)
        self._devices = DeviceTopics(settings.name, self._topic, context) if settings.by_device else None
        self._places = Places()
        self._side: dict[int, str] = {}
        """What is on its way besides envelopes, by packet identifier."""
        self._room = asyncio.Event()
        self._refused = ""
        self._absent = ""
        self._last_ack_s = 0.0
        self._target = self._read_target()  # now: a password or a file that is missing stops the start, not the night

    @property
    def in_flight(self) -> int | None:
        """Envelopes sent and not yet acknowledged; None while there is no connection."""
        return None if self._connection is None else self._window.in_flight

    def status(self) -> dict[str, Any]:
        """Return what the status page shows beside the counters."""
        connection = self._connection
        refused = [] if connection is None else connection.refused_filters
        return {
            "refused": self._refused,
            "absent": self._absent,
            "refused_subscriptions": [each.removeprefix(f"{self._topic}/") for each in refused],
            "lacks_gone": self._receipts.gone,
        }

    async def run(self, feed: Feed) -> None:
        """Publish until cancelled."""
        while True:
            pause_s = 0.0
            self._context.beat()
            try:
                await self._ask_leave(feed)
                await self._connect_and_serve(feed)
            except* (PlatformError, StoreUnavailable) as group:
                pause_s = self._failed(_first(group))
            await asyncio.sleep(pause_s)

    async def _ask_leave(self, feed: Feed) -> None:
        wanted, directory = self._settings.wanted, self._context.directory
        refusals = [] if wanted is None or directory is None else await directory.refusals(wanted)
        self._refused = " ".join(map(str, refusals))
        await feed.refused(bool(refusals))
        if refusals:
            raise OutputRefused(self._refused)

    async def _connect_and_serve(self, feed: Feed) -> None:
        self._renew_target()
        target, version = self._target, self._versions.current
        connection = Connection(target, version, self._acknowledged)
        try:
            receive_maximum = await connection.open(target)
            self._versions.worked()
            self._window.restart(min(self._settings.window, receive_maximum))
            self._feed = feed
            await feed.restart()
            self._side = {}
            await self._introduce(connection)
            if self._receipts.open:
                connection.subscribe(f"{self._topic}/receipts/+/+", self._receipts.put)
            if self._settings.commands:
                self._commands.restart()
                connection.subscribe(f"{self._topic}/{commands.FILTER}", self._commands.put)
            self._connection = connection
            self._context.counters.add("platforms", f"{self.name}_connected")
            self._log.info("broker_connected", platform=self.name, protocol=version, host=target.host, port=target.port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(connection.watch())
                tasks.create_task(self._publish(connection, feed))
                tasks.create_task(self._note(feed))
                if self._receipts.open:
                    tasks.create_task(self._receipts.serve(feed))
                if self._settings.commands:
                    for work in (self._commands.serve, self._commands.answer, self._commands.note):
                        tasks.create_task(work(connection))
        except asyncio.CancelledError:
            if self._connection is not None:  # else the broker says that we are lost
                self._say(connection, "stopped")
            raise
        finally:
            self._connection = None
            connection.close()

    async def _introduce(self, connection: Connection) -> None:
        """Publish, retained, what everybody needs who reads what comes."""
        pem = self._context.certificate_pem
        digest = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()
        for name in ("certificate", f"certificates/{digest}"):  # the second stays when the key changes
            await connection.room()
            mid = connection.publish(f"{self._topic}/{name}", pem, retain=True, content_type=PEM)
            self._side[mid] = "certificate"
        await connection.room()
        self._say(connection, "online")

    def _say(self, connection: Connection, state: str) -> None:
        said, topic = status(self._context.eui, state), f"{self._topic}/status{self._context.part}"
        with suppress(PlatformError):
            self._side[connection.publish(topic, said, retain=True, content_type=JSON)] = "status"

    async def _publish(self, connection: Connection, feed: Feed) -> None:
        while True:
            while not self._window.free:
                self._room.clear()
                await self._room.wait()
            row = await feed.next()
            if self._devices is not None:
                await self._devices.publish(row, connection, self._by_device, self._settings.message_expiry_s)
            await connection.room(reserved=_RESERVED)
            if not self._window.in_flight:
                self._last_ack_s = asyncio.get_running_loop().time()
            mid = connection.publish(
                f"{self._topic}/records",
                row.message,
                expiry_s=self._settings.message_expiry_s,
                often=True,
                user=self._places.of(row.message) if self._settings.user_properties and connection.five else (),
            )
            self._window.sent(row, mid)

    def _by_device(self, mid: int) -> None:
        self._side[mid] = "reading_by_device"

    async def _note(self, feed: Feed) -> None:
        """Write down what arrived, ten times a second: a repeated publication is cheaper than a commit for each."""
        while True:
            await asyncio.sleep(_NOTE_EVERY_S)
            self._context.beat()
            try:
                await feed.flush(lasting=False)
            except StoreUnavailable as error:
                if self._seldom.allow("note") is not None:
                    self._log.warning("progress_not_noted", platform=self.name, why=error)
            stalled_s = asyncio.get_running_loop().time() - self._last_ack_s
            if self._window.in_flight and stalled_s > _STALLED_S:
                raise PlatformError(f"{self._window.in_flight} publications without a PUBACK for {stalled_s:.0f} s")

    def _acknowledged(self, mid: int, failure: int, reason: str) -> None:
        if failure:
            self._context.counters.add("platforms", f"{self.name}_refused")
            side = self._side.pop(mid, None) or self._commands.refused(mid)
            if side is not None:
                if self._seldom.allow(side) is not None:
                    self._log.error(f"{side}_refused", platform=self.name, reason=reason)
            elif self._connection is not None:
                # Not taken: it stays in the outbox, and the next connection starts with it.
                self._connection.fail(PlatformError(f"the broker refused a publication: {reason}"))
            return
        self._side.pop(mid, None)
        self._commands.arrived(mid)
        row = self._window.arrived(mid)
        if row is not None and self._feed is not None:
            self._feed.taken(row)
            self._last_ack_s = asyncio.get_running_loop().time()
            self._back_off.reset()
            self._room.set()

    def _failed(self, error: BaseException) -> float:
        """Log, and return how long to wait."""
        if isinstance(error, OutputRefused):
            self._context.counters.add("platforms", f"{self.name}_output_refused")
            self._log.error("output_refused", platform=self.name, why=error, effect="nothing goes out here; it waits")
            return self._settings.retry_max_s
        self._absent = str(error)
        again_now = False
        if isinstance(error, ProtocolRefused):
            again_now = self._versions.refused()
        elif isinstance(error, ClosedEarly):
            again_now = self._versions.closed_early()
        pause_s = 0.0 if again_now else self._back_off.pause_s()
        self._context.counters.add("platforms", f"{self.name}_connection_failed")
        held_back = self._seldom.allow("absent")
        if held_back is not None:
            self._log.warning(
                "broker_absent",
                platform=self.name,
                host=self._settings.host,
                port=self._settings.port,
                why=error,
                next_protocol=self._versions.current,
                retry_in_s=round(pause_s, 1),
                not_logged=held_back,
            )
        return pause_s

    def _renew_target(self) -> None:
        """Read certificates and password again before each connection: they may have been renewed meanwhile."""
        try:
            self._target = self._read_target()
        except (PlatformError, ProvisioningError) as error:
            if self._seldom.allow("renew") is not None:
                self._log.warning("old_secrets_kept", platform=self.name, why=error)

    def _read_target(self) -> Target:
        settings = self._settings
        password = None if settings.password is None else self._context.secret(settings.password).decode()
        return Target(
            settings.host,
            settings.port,
            self._context.client_id,
            settings.keepalive_s,
            settings.username,
            password,
            None if settings.tls is None else self._tls(settings.tls),
            (f"{self._topic}/status{self._context.part}", status(self._context.eui, "lost")),
        )

    def _tls(self, settings: TlsSettings) -> ssl.SSLContext:
        context = tls_context(self.name, settings, self._context.base)
        context.sslsocket_class = TlsSocket
        return context


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def build(settings: Settings, context: Context) -> MqttPlatform:
    """Return the platform of one ``[[platforms]]`` table."""
    return MqttPlatform(settings, context)

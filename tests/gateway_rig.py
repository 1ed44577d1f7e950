# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the gateway's tests stand on: a city on disk, devices that speak the wire, PTYs, daemons as processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import tty
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from consumer.verify import Verifier
from firmware.wire import cobs, cobs_stream, frame, joining, kinds, readings
from firmware.wire.crypto import derive_session_keys
from firmware.wire.session import Received, Session
from gateway.network.aes import ecb
from gateway.outbox import stats
from provisioning import pki
from provisioning.keys import new_kek
from provisioning.registry import Registry

ROOT = Path(__file__).resolve().parent.parent
GATEWAY_EUI = bytes.fromhex("aabbccddeeff0011")
APP_KEY = bytes.fromhex("1c33fd80a3b34fe1a1a0c1d2e3f40516")
KIND = kinds.load("street_light")
PATIENCE_S = 30.0
START_S = 90.0
"""For a daemon to start, or to end by itself, on a computer that has much else to do."""


def gateway_certificate() -> bytes:
    """A certificate of a gateway, PEM, of an authority that is forgotten at once."""
    ca_key, key = pki.new_key(), pki.new_key()
    ca = pki.create_ca(ca_key, "Lyktby")
    return pki.certificate_pem(pki.issue_gateway_certificate(ca_key, ca, key.public_key(), GATEWAY_EUI, "gw"))


def until(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """Wait until *condition* gives something true and return it; fail, naming *what*, when it never does."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(0.01)
    return value


@dataclass
class City:
    """A register, an authority and an enrolled gateway in one folder."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        ca_key = pki.new_key()
        self.ca = pki.create_ca(ca_key, "Lyktby")
        key = pki.new_key()
        certificate = pki.issue_gateway_certificate(ca_key, self.ca, key.public_key(), GATEWAY_EUI, "gw")
        self.certificate_pem = pki.certificate_pem(certificate)
        self._secret("gateway.key.pem", pki.private_key_pem(key))
        (self.folder / "gateway.cert.pem").write_bytes(self.certificate_pem)
        self.kek = new_kek()
        self._secret("kek", self.kek)
        self.url = f"sqlite:///{self.folder}/register.db"
        self.registry = Registry.create(self.url, self.kek, city="Lyktby")
        weakref.finalize(self, self.registry.close)

    def _secret(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(data)

    def config(self, port: str | Path, broker_port: int, extra: str = "", **sections: str) -> Path:
        """Write gateway.toml; *sections* add lines to the tables of the same names."""
        path = self.folder / "gateway.toml"
        path.write_text(
            f"""
[gateway]
eui = "{GATEWAY_EUI.hex()}"
state_dir = "state"
key = "file:gateway.key.pem"
certificate = "gateway.cert.pem"
{sections.get("gateway", "")}
[register]
url = "sqlite:///register.db"
kek = "file:kek"
[network]
net_id = 0x000001
[records]
{sections.get("records", "")}
[outbox]
{sections.get("outbox", "")}
[[links]]
type = "serial"
name = "bench"
port = "{port}"
[[platforms]]
type = "mqtt"
name = "city"
host = "127.0.0.1"
port = {broker_port}
retry_max_s = 0.5
{sections.get("platform", "")}
{extra}
"""
        )
        return path

    def device(self, number: int = 1) -> Device:
        """Register one street light and return its other end."""
        dev_eui = bytes.fromhex("70b3d57ed000") + number.to_bytes(2, "big")
        join_eui = bytes.fromhex("70b3d57ed1000001")
        app_key = APP_KEY[:-2] + number.to_bytes(2, "big")
        self.registry.register_device("street_light", dev_eui=dev_eui, join_eui=join_eui, app_key=app_key)
        return Device(dev_eui, join_eui, app_key)

    def verifier(self) -> Verifier:
        """A consumer that trusts this city."""
        verifier = Verifier([self.ca])
        verifier.add_certificate(self.certificate_pem)
        return verifier


@dataclass
class Device:
    """A device reduced to its frames: it joins, seals readings and reads receipts."""

    dev_eui: bytes
    join_eui: bytes
    app_key: bytes
    dev_nonce: int = -1
    session: Session | None = None
    held: set[int] = field(default_factory=set)
    """Sequence numbers that a receipt took off its hands."""

    def join_request(self) -> bytes:
        self.dev_nonce += 1
        return joining.encode_join_request(ecb(self.app_key), self.join_eui, self.dev_eui, self.dev_nonce)

    def take_accept(self, phy: bytes) -> joining.JoinAccept:
        encrypt = ecb(self.app_key)
        accept = joining.decode_join_accept(encrypt, phy)
        keys = derive_session_keys(encrypt, accept.join_nonce, accept.net_id, self.dev_nonce)
        self.session = Session(ecb, accept.dev_addr, *keys)
        return accept

    @property
    def live(self) -> Session:
        assert self.session is not None, "the device has not joined"
        return self.session

    def readings(self, *seqs: int, oldest: int | None = None, fport: int = 1, confirmed: bool = False) -> bytes:
        """One frame of readings; with *oldest* it asks for a receipt."""
        payload = readings.pack([encoded(seq) for seq in seqs], oldest)
        return self.live.seal_uplink(fport, payload, confirmed=confirmed)

    def take(self, phy: bytes) -> Received:
        """Open a downlink and, when it is a receipt, believe it."""
        received = self.live.open_downlink(phy)
        if received.fport == readings.FPORT_RECEIPTS:
            contiguous, above = readings.decode_receipt(received.payload)
            self.held |= {*range(1, contiguous + 1), *above}
        return received


def encoded(seq: int, **values: float) -> bytes:
    """One reading whose values follow from its number."""
    measured = {"lamp_on": seq % 2 == 0, "power_w": seq % 1000 / 10, "temperature_c": -3.5, **values}
    return readings.encode_reading(KIND, seq, measured, time_s=1_790_000_000 + seq)


class Port:
    """The device end of a serial line, which can be pulled out and plugged in again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master = -1
        self._deframer = cobs_stream.Deframer(frame.MAX_PHY)
        self._frames: list[bytes] = []
        self.plug()

    def plug(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        os.close(slave)
        self.path.symlink_to(name)

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self._master >= 0:
            self.unplug()

    def write(self, data: bytes) -> None:
        """Put raw bytes on the line."""
        while data:
            select.select([], [self._master], [], PATIENCE_S)
            data = data[os.write(self._master, data) :]

    def send(self, phy: bytes) -> None:
        self.write(cobs.frame(phy))

    def send_what_fits(self, phy: bytes) -> None:
        """Put a frame on a line that perhaps nobody empties, or that is not there: what does not fit is lost."""
        if self._master >= 0:
            os.set_blocking(self._master, False)
            with contextlib.suppress(OSError):
                os.write(self._master, cobs.frame(phy))
            os.set_blocking(self._master, True)

    def read(self, timeout_s: float = PATIENCE_S) -> bytes:
        """Return what the gateway has put on the line, raw; nothing when nothing comes in time."""
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._master], [], [], min(left, 0.05))
            if ready:
                try:
                    return os.read(self._master, 4096)
                except OSError as error:  # nobody has the other end open just now
                    if error.errno != errno.EIO:
                        raise
                    time.sleep(0.01)
        return b""

    def receive(self, timeout_s: float = PATIENCE_S) -> bytes | None:
        """Return the next frame from the gateway; None when none comes in time."""
        end = time.monotonic() + timeout_s
        while not self._frames:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._frames += self._deframer.feed(self.read(left))
        return self._frames.pop(0)

    def join(self, device: Device) -> joining.JoinAccept:
        """Join as boards do: again until it is heard. Of several requests the answer to the last one counts."""
        end, unanswered, accept = time.monotonic() + PATIENCE_S, 0, None
        while accept is None and time.monotonic() < end:
            self.send(device.join_request())
            unanswered += 1
            answer = self.receive(1.0)
            while answer is not None:
                if frame.mtype(answer) == frame.JOIN_ACCEPT:
                    accept, unanswered = device.take_accept(answer), unanswered - 1
                answer = self.receive(5.0) if unanswered else None
        assert accept is not None, "the gateway never answered a Join-Request"
        return accept


class Daemon:
    """The gateway as its operator runs it."""

    def __init__(
        self,
        config: Path,
        *options: str,
        module: str = "gateway",
        environment: dict[str, str] | None = None,
        word: str = "run",
        under: tuple[str, ...] = (),
    ) -> None:
        """*under*: a command that runs another one, as `prlimit` does."""
        self.config = config
        self.events: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [*under, sys.executable, "-m", module, word, "--config", str(config), *options],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.events.append(json.loads(line))
            except ValueError:
                self.events.append({"event": "text", "text": line.decode()})

    def saw(self, event: str) -> list[dict[str, Any]]:
        """All log entries of one event so far."""
        return [entry for entry in list(self.events) if entry["event"] == event]

    def wait_for(self, event: str, count: int = 1, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        def seen() -> list[dict[str, Any]]:
            found = self.saw(event)
            if len(found) < count and self.process.poll() is not None:
                raise AssertionError(f"the daemon ended before {event}: {self.events}")
            return found[count - 1 :]

        try:
            return until(seen, event, timeout_s)[0]  # type: ignore[no-any-return]
        except AssertionError as error:
            raise AssertionError(f"{error}; it said {self.events[-30:]}") from error

    def ready(self) -> Daemon:
        self.wait_for("ready", timeout_s=START_S)
        return self

    def stop(self) -> int:
        """SIGTERM; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=START_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, and tidy up what the test holds of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        self._reader.join(timeout=10)
        if self.process.stderr is not None:
            self.process.stderr.close()

    @property
    def state_dir(self) -> Path:
        return self.config.parent / "state"

    def stats(self) -> stats.Stats:
        return stats.read(self.state_dir / "outbox.db")

    def refused(self) -> dict[str, int]:
        """Refusals since the start, as the daemon's own file says."""
        return self.counters("refused")

    def counters(self, group: str) -> dict[str, int]:
        """One group of the daemon's counters since the start, as its file says."""
        try:
            counts: dict[str, int] = json.loads((self.state_dir / "counters.json").read_text()).get(group, {})
        except FileNotFoundError:
            return {}
        return counts


class Subscriber:
    """A platform: keeps what it gets under a persistent session, so that its own absence loses nothing."""

    def __init__(self, port: int, *, protocol: int = paho.MQTTv311) -> None:
        self.messages: list[bytes] = []
        self.certificates: list[bytes] = []
        self.properties: list[Any] = []
        self._port = port
        self._subscribed = threading.Event()
        options: dict[str, Any] = {} if protocol == paho.MQTTv5 else {"clean_session": False}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "test-platform", protocol=protocol, **options)
        self._client.on_connect = lambda client, *_: client.subscribe("lykta/v1/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(0.1, 0.5)

    def start(self) -> Subscriber:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(PATIENCE_S)
        return self

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.topic.endswith("/certificate"):
            self.certificates.append(message.payload)
        elif message.topic == f"lykta/v1/{GATEWAY_EUI.hex()}/records":
            self.properties.append(getattr(message, "properties", None))
            self.messages.append(message.payload)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

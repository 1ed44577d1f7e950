# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A city with devices that have joined already, a broker, and the daemon as its operator runs it."""

from __future__ import annotations

import base64
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from firmware.wire import kinds, readings
from firmware.wire.session import Session
from gateway import config as config_file
from gateway.network.aes import ecb
from gateway.network.channels import ChannelPlan
from gateway.network.keyring import Keyring
from gateway.network.options import DEFAULT_RX2_DR, GATEWAY_CHANNELS
from gateway.network.radio_state import RadioState
from gateway.network.sessions import SessionStore
from gateway.outbox import stats
from provisioning.pki import certificate_pem
from tests.gateway_rig import GATEWAY_EUI, City, until

FORWARDERS = [bytes.fromhex("aa555a00000001") + bytes((number,)) for number in range(1, 17)]
"""The first hears nearly all. What asks for an acknowledgement is heard by all in turn: one's time on air for the hour
would soon be used up."""
_KIND = kinds.load("street_light")
_FIRST_ADDRESS = 1 << 25
_CORES = sorted(os.sched_getaffinity(0))
"""As it was before anything was pinned: whoever is on one core, and looks then, sees only that one."""
_NETWORK = "dedup_ms = 0\nstatus_every_h = 0"
"""One forwarder hears each frame, and nobody is asked for a battery."""


@dataclass
class Load:
    """Everything that one run needs."""

    folder: Path
    udp_port: int
    devices: list[bytes]
    """The DevEUI of each."""
    sessions: list[Session]
    config: Path
    made: int = 0
    """Readings so far."""
    again: int = 0
    """Frames that brought one of them again."""

    @property
    def outbox(self) -> Path:
        """The file that the daemon stores into."""
        return self.folder / "state" / "outbox.db"


def _plan() -> ChannelPlan:
    """Devices that took the network's channels long ago."""
    return ChannelPlan({3 + index: channel for index, channel in enumerate(GATEWAY_CHANNELS)})


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A loopback port that nothing used a moment ago."""
    with closing(socket.socket(socket.AF_INET, kind)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def steady_port() -> int:
    """A loopback port that the system gives to nobody who asks for any: free again after its listener was away."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.SystemRandom().sample(range(first // 2, first), 100):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    sys.exit(f"no port from {first // 2} to {first} is free on 127.0.0.1")


def make_city(folder: Path, devices: int, broker_port: int, records: str = "", outbox: str = "") -> Load:
    """Register devices and give them sessions, as if they had joined yesterday."""
    city = City(folder)
    udp_port = free_port(socket.SOCK_DGRAM)
    link = f"""
[[links]]
type = "lora"
name = "air"
bind = "127.0.0.1:{udp_port}"
rate_per_s = 1000000.0
rate_burst = 1000000
receive_buffer_bytes = 8388608
"""
    link += "".join(f'[[links.gateways]]\neui = "{forwarder.hex()}"\n' for forwarder in FORWARDERS)
    config = city.config(folder / "no-port", broker_port, extra=link, records=records, outbox=outbox)
    text = config.read_text().replace("net_id = 0x000001", f"net_id = 0x000001\n{_NETWORK}")
    begin, end = text.index('[[links]]\ntype = "serial"'), text.index("[[platforms]]")
    config.write_text(text[:begin] + text[end:])
    state = folder / "state"
    state.mkdir(mode=0o700)
    store = SessionStore(state / "sessions.db", Keyring(config_file.load(config).secret("file:kek")))
    rng = random.Random(1)
    agreed = RadioState(rx2_dr=DEFAULT_RX2_DR)
    sessions, made = [], []
    for number in range(devices):
        device = city.device(number + 1)
        keys = rng.randbytes(16), rng.randbytes(16)
        store.add(device.dev_eui, address_of(number), keys, 1, agreed, _plan())
        sessions.append(Session(ecb, address_of(number), *keys))
        made.append(device.dev_eui)
    store.commit()
    store.close()
    (folder / "ca.pem").write_bytes(certificate_pem(city.ca))
    city.registry.close()
    return Load(folder, udp_port, made, sessions, config)


def address_of(number: int) -> int:
    """Return the DevAddr of a device by its number from 0."""
    return _FIRST_ADDRESS + number


def datagrams(load: Load, count: int, confirmed_every: int = 0) -> list[bytes]:
    """One reading of 30 to 35 bytes in one frame in one PUSH_DATA each, the devices in turn; goes on at each call.

    Frames whose index *confirmed_every* divides ask for an acknowledgement; 0: none does.
    """
    first, load.made = load.made, load.made + count
    every = confirmed_every
    return [_datagram(load, index, every) for index in range(first, first + count)]


def datagrams_again(load: Load, indices: Iterable[int]) -> list[bytes]:
    """Readings that were made before, by index, in new frames."""
    made = [_datagram(load, index) for index in indices]
    load.again += len(made)
    return made


def _datagram(load: Load, index: int, confirmed_every: int = 0) -> bytes:
    confirmed = confirmed_every > 0 and index % confirmed_every == 0
    forwarder = FORWARDERS[index // confirmed_every % len(FORWARDERS)] if confirmed else FORWARDERS[0]
    session = load.sessions[index % len(load.sessions)]
    seq = index // len(load.sessions) + 1
    values = {"lamp_on": True, "power_w": 41.5, "dim_pct": 80, "energy_wh": 1000 + seq}
    item = readings.encode_reading(_KIND, seq, values, time_s=1_790_000_000 + index)
    phy = session.seal_uplink(1, item, confirmed=confirmed)
    data = base64.b64encode(phy).decode()
    body = (
        f'{{"rxpk":[{{"tmst":{tmst_of(index)},"freq":868.1,"chan":0,"rfch":1,"stat":1,"modu":"LORA",'
        f'"datr":"SF7BW125","codr":"4/5","rssi":-35,"lsnr":5.1,"size":{len(phy)},"data":"{data}"}}]}}'
    )
    return b"\x02" + (index & 0xFFFF).to_bytes(2, "big") + b"\x00" + forwarder + body.encode()


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Mosquitto on a loopback port, on the second core."""
    port = free_port()
    process = mosquitto(folder, port)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def mosquitto(folder: Path, port: int, more: str = "") -> subprocess.Popen[bytes]:
    """Start it; it accepts connections when this returns."""
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
        f"{more}persistence_location {folder}/\n" + ("user root\n" if os.geteuid() == 0 else "")
    )
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        sys.exit("mosquitto is not installed: `make test` installs it")
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    pin(process.pid, 1)
    until(lambda: _accepts(port), "mosquitto to listen", 60)
    return process


def _accepts(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where there are two."""
    os.sched_setaffinity(pid, {_CORES[core % len(_CORES)]})


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def dropped(port: int) -> int:
    """Return how many datagrams for a loopback port the system dropped, because its reader did not come to them."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines if line.split()[1].endswith(f":{port:04X}"))


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Gateway:
    """The daemon, on the first core."""

    def __init__(self, load: Load, *command: str) -> None:
        self.load = load
        self.log = (load.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, *(command or ("-m", "gateway")), "run", "--config", str(load.config)],
            stderr=self.log,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parents[2],
        )
        pin(self.process.pid, 0)
        until(lambda: b'"lora_open"' in (load.folder / "log").read_bytes(), "the daemon to listen", 60)

    @property
    def cpu_s(self) -> float:
        """User and system time so far."""
        return cpu_s(self.process.pid)

    @property
    def rss_mb(self) -> float:
        """Resident memory."""
        return rss_mb(self.process.pid)

    def stored(self) -> int:
        """Readings on disk."""
        return stats.read(self.load.outbox).durable

    def published(self) -> int:
        """Readings that the platform has."""
        return stats.read(self.load.outbox).published.get("city", 0)

    def stop(self) -> None:
        """SIGTERM, then wait."""
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def send(load: Load, frames: list[bytes], per_s: float, note: Callable[[int, int], None] | None = None) -> float:
    """Keep to a rate, in steps of 2 ms; return the seconds it took. *note* hears which readings left, by index."""
    base = 0 if note is None else index_of(frames[0])
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.connect(("127.0.0.1", load.udp_port))
        began = time.perf_counter()
        sent = 0
        while sent < len(frames):
            due = min(len(frames), int((time.perf_counter() - began) * per_s) + 1)
            if note is not None:
                note(base + sent, base + due)
            for frame in frames[sent:due]:
                sender.send(frame)
            sent = due
            time.sleep(0.002)
        return time.perf_counter() - began


def tmst_of(index: int) -> int:
    """Return the concentrator's time of a reading, us: a millisecond after that of the one before."""
    return (index * 1000) & 0xFFFFFFFF


def index_of(datagram: bytes) -> int:
    """Return which reading a datagram of ``datagrams`` carries, from its ``tmst``."""
    return int(datagram.split(b'"tmst":', 1)[1].split(b",", 1)[0]) // 1000


__all__ = [
    "FORWARDERS",
    "GATEWAY_EUI",
    "Gateway",
    "Load",
    "broker",
    "datagrams",
    "datagrams_again",
    "make_city",
    "pin",
    "send",
]

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Devices, a gateway and a platform, and everything that can go wrong between them."""

import random
import resource
import signal
import sqlite3
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from tests.gateway_rig import START_S, City, Daemon, Device, Port, until
from tests.torture.oracle import Arrived, Truth
from tests.torture.platform import Platform

DEVICES = 3
FAULTS = (
    "kill", "kill", "terminate", "pause", "broker_kill", "partition", "lost_acks", "slow_disk", "full_disk",
    "damage", "clock_step", "unplug",
)  # fmt: skip
_OUTBOX = "outbox.db"


class _Starved:
    """How long the gateway has waited for a processor since the first look, over all its threads and starts."""

    def __init__(self) -> None:
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}

    def seconds(self, pid: int) -> float:
        """Look at one process more; /proc/PID/task/TID/schedstat has it in nanoseconds, in the second field."""
        with suppress(OSError, IndexError):  # it or one of its threads ended just now
            waits = [int(path.read_text().split()[1]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
            self._last[pid] = sum(waits) / 1e9
            self._first.setdefault(pid, self._last[pid] if not self._first else 0.0)
        return sum(max(0.0, last - self._first[pid]) for pid, last in self._last.items())


class World:
    """One gateway and what is around it. Each fault has a beginning, and ``heal`` ends them all."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng = rng
        self.truth = Truth()
        self.log: list[Daemon] = []
        self._folder = folder
        self._stack = ExitStack()

    def start(self, port: int) -> None:
        """Set up what there is, and let the devices join; what was begun when this fails ends with ``close``."""
        folder, rng = self._folder, self.rng
        self.city = City(folder / "city")
        self._stack.callback(self.city.registry.close)
        self.port = Port(folder / "port")
        self._stack.callback(self.port.close)
        self.platform = Platform(port, random.Random(rng.random()))
        self._stack.callback(self.platform.close)
        self._stack.callback(self._tidy)
        self._stack.callback(self._kill_all)
        self.arrived = Arrived(self.city, self.platform)
        self.devices = [self.city.device(number) for number in range(1, DEVICES + 1)]
        self._next = dict.fromkeys(range(DEVICES), 1)
        self._delay = folder / "delay"
        self._delay.write_text("0")
        self._offset = folder / "offset"
        self._offset.write_text("+0")
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        assert library is not None, "libfaketime is not installed: `make test` installs it"
        self._environment = {
            "LYKTA_COMMIT_DELAY": str(self._delay),
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self._config = self.city.config(self.port.path, port, platform='protocol = "3.1.1"')
        self.boot()
        self._hears()
        for device in self.devices:
            until(lambda device=device: self._join(device), f"the devices to join: {self.daemon.events}")

    @property
    def daemon(self) -> Daemon:
        return self.log[-1]

    @property
    def database(self) -> Path:
        return self.daemon.state_dir / _OUTBOX

    def boot(self) -> None:
        self._tidy()
        started = Daemon(self._config, module="tests.torture.slow_gateway", environment=self._environment)
        self.log.append(started)

    def close(self) -> None:
        self._stack.close()

    def _kill_all(self) -> None:
        for daemon in self.log:
            daemon.kill()

    def _hears(self) -> None:
        """Wait until the gateway has the line open; when it never does, it says where each of its threads is."""
        try:
            until(lambda: self._supervised().saw("serial_open"), "the gateway to hear", START_S)
        except AssertionError as error:
            process = self.daemon.process
            status = Path(f"/proc/{process.pid}/status").read_text() if process.poll() is None else "ended"
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGUSR1)
            time.sleep(2)
            told = [event.get("text", event) for event in self.daemon.events]
            raise AssertionError(f"{error}; start {len(self.log)}, {status.splitlines()[:4]}, said {told}") from error

    def _tidy(self) -> None:
        """What libfaketime leaves of a killed process hangs a later one that gets the same number."""
        for daemon in self.log:
            if daemon.process.poll() is not None:
                for name in (f"faketime_shm_{daemon.process.pid}", f"sem.faketime_sem_{daemon.process.pid}"):
                    Path("/dev/shm", name).unlink(missing_ok=True)  # noqa: S108 - its own names

    def _join(self, device: Device) -> bool:
        self.port.send(device.join_request())
        while (phy := self.port.receive(10.0)) is not None:
            with suppress(ValueError):  # the answer to a request of another device that was repeated
                device.take_accept(phy)
                return True
        return False

    def talk(self, frames: int) -> None:
        """Each device sends what it has no receipt for, and something new; and believes the receipts it gets."""
        for _ in range(frames):
            index = self.rng.randrange(DEVICES)
            device = self.devices[index]
            left = [seq for seq in range(1, self._next[index]) if seq not in device.held][:3]
            new = range(self._next[index], self._next[index] + self.rng.randrange(1, 4))
            self._next[index] = new.stop
            self.send(device, [*left, *new][:4] if left else list(new), oldest=min([*left, new.start]))
            self.listen(0.02)

    def send(self, device: Device, seqs: list[int], oldest: int) -> None:
        self.truth.sent |= {(device.dev_eui.hex(), seq) for seq in seqs}
        self.port.send_what_fits(device.readings(*seqs, oldest=oldest))

    def listen(self, patience_s: float) -> None:
        """Believe all receipts that are on the line."""
        with suppress(OSError, ValueError):  # the line is unplugged
            while (phy := self.port.receive(patience_s)) is not None:
                for device in self.devices:
                    before = set(device.held)
                    with suppress(ValueError):  # another device's
                        device.take(phy)
                        self.truth.told(device, before)
                        break

    def begin(self, fault: str) -> None:
        getattr(self, f"_begin_{fault}")()

    def heal(self) -> None:
        """The end of all faults."""
        self._delay.write_text("0")
        self.platform.heal()
        self.platform.lose_acks = 0.0
        self.platform.start()
        if not self.port.path.is_symlink():
            self.port.plug()
        with suppress(ProcessLookupError):  # it may end by itself at any moment
            self.daemon.process.send_signal(signal.SIGCONT)
            hard = resource.prlimit(self.daemon.process.pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(self.daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        self._supervised()

    def _supervised(self) -> Daemon:
        """The gateway; started again as systemd does when it has ended, as on damage that it came across."""
        if self.daemon.process.poll() is not None:
            self.daemon.kill()
            self.boot()
        return self.daemon

    def fresh_reading_passes(self, within_s: float) -> None:
        """A device says something new, and it is at the platform soon: counted from when the gateway hears again.

        The time in which the gateway would work and has no processor does not count: that is the machine's.
        """
        self._hears()
        index = self.rng.randrange(DEVICES)
        device, seq = self.devices[index], self._next[index]
        self._next[index] += 1
        key = (device.dev_eui.hex(), seq)

        def arrives() -> bool:
            self._supervised()
            if seq not in device.held:
                oldest = min(set(range(1, seq + 1)) - device.held)
                self.send(device, [seq], oldest)
                self.listen(0.1)
            return key in self.arrived.look()

        began_s, starved = time.monotonic(), _Starved()
        while not arrives():
            waited_s, starved_s = time.monotonic() - began_s, starved.seconds(self.daemon.process.pid)
            if waited_s > within_s + starved_s:
                receipt = "has its receipt" if seq in device.held else "has no receipt"
                raise AssertionError(
                    f"waited {waited_s:.1f} s in vain for a fresh reading, which {receipt}; the gateway waited "
                    f"{starved_s:.1f} s for a processor; it said {self.daemon.events[-12:]}"
                )
            time.sleep(0.01)

    def everything_is_told_and_arrives(self) -> None:
        """Devices send until each reading has its receipt; the gateway publishes until nothing waits."""

        def quiet() -> bool:
            self._supervised()
            for index, device in enumerate(self.devices):
                left = [seq for seq in range(1, self._next[index]) if seq not in device.held][:4]
                if left:
                    self.send(device, left, left[0])
                    self.listen(0.05)
            done = all(len(device.held) >= self._next[index] - 1 for index, device in enumerate(self.devices))
            return done and self.daemon.stats().waiting.get("city") == 0

        until(quiet, f"all receipts; {self.daemon.events[-5:]}", 120)
        until(lambda: self._read_all(), "the platform to look at what it has", 60)

    def _read_all(self) -> bool:
        before = len(self.platform.messages)
        self.arrived.look()
        return before == len(self.platform.messages)

    def _begin_kill(self) -> None:
        self.daemon.kill()
        self.boot()

    def _begin_terminate(self) -> None:
        self.daemon.process.send_signal(signal.SIGCONT)
        self.daemon.process.terminate()
        self.daemon.process.wait(60)
        self._begin_kill()

    def _begin_pause(self) -> None:
        self.daemon.process.send_signal(signal.SIGSTOP)

    def _begin_broker_kill(self) -> None:
        self.platform.kill()

    def _begin_partition(self) -> None:
        self.platform.partition()

    def _begin_lost_acks(self) -> None:
        self.platform.lose_acks = 0.2

    def _begin_slow_disk(self) -> None:
        self._delay.write_text(self.rng.choice(("0.05", "0.3", "1")))

    def _begin_full_disk(self) -> None:
        with suppress(ProcessLookupError):
            hard = resource.prlimit(self.daemon.process.pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(self.daemon.process.pid, resource.RLIMIT_FSIZE, (0, hard))

    def _begin_clock_step(self) -> None:
        self._offset.write_text(self.rng.choice(("+0", "-20d", "+20d", "-20000d", "+3600", "-7200")))

    def _begin_unplug(self) -> None:
        if self.port.path.is_symlink():
            self.port.unplug()

    def _begin_damage(self) -> None:
        """The gateway is off; some bytes of its outbox rot, as on worn flash."""
        self.daemon.kill()
        if self.database.exists():
            with suppress(sqlite3.Error), closing(sqlite3.connect(self.database)) as raw:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            data = bytearray(self.database.read_bytes())
            if self.rng.random() < 0.5:
                page = self.rng.randrange(max(1, len(data) // 4096)) * 4096
                data[page : page + 4096] = self.rng.randbytes(len(data[page : page + 4096]))
            else:
                for _ in range(self.rng.randrange(1, 9)):
                    data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
            self.database.write_bytes(data)
            self.truth.damaged = True
            time.sleep(0.05)  # bytes of the last connection may still be on their way to the platform
            self.truth.at_risk |= self.truth.acknowledged - set(self.arrived.look())
        self.boot()

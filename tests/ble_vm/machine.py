# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A Debian in QEMU with the real bluetoothd and kernel (tools/ble_vm/build.sh), started warm, ended by its process id.

It is emulated (TCG): where there is hardware for it, that is not used, so that runs are alike everywhere. Its Bluetooth
adapter is a controller of the virtual air outside, whose HCI goes through a virtio port.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parent.parent.parent
BUILT = ROOT / "build" / "ble-vm"
SNAPSHOT = BUILT / "warm.qcow2"
_BOOT_S = 900
_NAME = "ready"
_KERNEL = (
    "console=ttyS0 panic=-1 quiet mitigations=off audit=0 random.trust_cpu=on systemd.show_status=0 "
    "systemd.log_level=warning"
)


class Machine:
    """*disk* belongs to this run; *hci*: socket of a `Dongle`, None where there is no adapter."""

    def __init__(self, folder: Path, disk: Path, hci: Path | None = None, warm: bool = True) -> None:
        self.share = folder / "share"
        self.share.mkdir()
        self.console = folder / "console.txt"
        self._agent, self._monitor = folder / "agent", folder / "monitor"
        radio = "null,id=hci" if hci is None else f"socket,path={hci},reconnect=1,id=hci"
        self._command = [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "768", "-smp", "2"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", f"file:{self.console}"),
            *("-kernel", str(BUILT / "vmlinuz"), "-initrd", str(BUILT / "initrd"), "-append", _KERNEL),
            *("-drive", f"file={disk},format=qcow2,if=virtio,cache=unsafe", "-device", "virtio-rng-pci"),
            *("-virtfs", f"local,path={self.share},mount_tag=share,security_model=none,id=share"),
            *("-device", "virtio-serial-pci", "-chardev", radio, "-device", "virtserialport,chardev=hci,name=hci"),
            *("-chardev", f"socket,path={self._agent},server=on,wait=off,id=agent"),
            *("-device", "virtserialport,chardev=agent,name=agent"),
            *("-qmp", f"unix:{self._monitor},server=on,wait=off"),
            *(("-loadvm", _NAME) if warm else ()),
        ]
        self._log = folder / "qemu.txt"
        self._line: socket.socket | None = None

    def __enter__(self) -> "Machine":
        with self._log.open("wb") as log:
            # Should this process be killed outright, the system ends the machine.
            prefix = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
            self._process = subprocess.Popen(
                [*prefix, *self._command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._line = self._connect(self._agent)
            self._wait_for_agent()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self._log.read_text(errors="replace")[-2000:], self.console.read_text(errors="replace")[-3000:])
        if self._line is not None:
            self._line.close()
        self._process.kill()
        self._process.wait(30)

    def run(self, command: str, timeout_s: float = 150, check: bool = True) -> str:
        """Run a line of shell as root in the machine; return what it says. Fails unless it exits with 0."""
        assert self._line is not None
        if check:
            print(time.strftime("%H:%M:%S"), command[:100], flush=True)
        self._line.settimeout(None)
        self._line.sendall(command.replace("\n", " ").encode() + b"\n")
        output = self._until(b"\x1e", timeout_s) + self._until(b"\n", timeout_s)
        said, _, status = output.decode(errors="replace").rpartition("\x1e")
        assert not check or status.strip() == "0", f"{command}: {status.strip()}\n{said}"
        return said.strip()

    def until(self, command: str, what: str, timeout_s: float = 240) -> str:
        """Run a line of shell again and again until it exits with 0."""
        end_s = time.monotonic() + timeout_s
        while True:
            said = self.run(f"{command} && echo '#yes'", check=False)
            if said.endswith("#yes"):
                return said.removesuffix("#yes").strip()
            assert time.monotonic() < end_s, f"waited {timeout_s:g} s in vain for {what}:\n{said}"
            time.sleep(1)

    def mount(self) -> None:
        """The folder that host and machine share, as /share. Not before the snapshot, which cannot hold it."""
        self.run("mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share /share")

    def keep(self) -> None:
        """Write the state of everything into the disk and end."""
        verbs = ("qmp_capabilities", {}), ("human-monitor-command", {"command-line": f"savevm {_NAME}"})
        with self._connect(self._monitor) as line, line.makefile("rw") as monitor:
            monitor.readline()
            for verb, arguments in verbs:
                monitor.write(json.dumps({"execute": verb, "arguments": arguments}) + "\n")
                monitor.flush()
                answer: dict[str, Any] = {}
                while "return" not in answer and "error" not in answer:
                    answer = json.loads(monitor.readline())
                assert not answer.get("return") and "error" not in answer, answer

    def _connect(self, path: Path) -> socket.socket:
        end_s = time.monotonic() + 60
        while True:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(path))
            except OSError:
                line.close()
            else:
                return line
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < end_s, f"no socket {path}"
            time.sleep(0.05)

    def _wait_for_agent(self) -> None:
        """The agent's end may have been opened before ours: ask until it answers this very question."""
        end_s, number = time.monotonic() + _BOOT_S, 0
        while True:
            number += 1
            self._line.settimeout(None)
            self._line.sendall(f"echo here-{number}\n".encode())
            with contextlib.suppress(TimeoutError):
                self._until(f"here-{number}\n\n\x1e0\n".encode(), 15)
                return
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < end_s, self.console.read_text(errors="replace")[-3000:]

    def _until(self, mark: bytes, timeout_s: float) -> bytes:
        end_s, found = time.monotonic() + timeout_s, b""
        while not found.endswith(mark):
            self._line.settimeout(max(0.01, end_s - time.monotonic()))
            byte = self._line.recv(1)
            assert byte, "the machine ended"
            found += byte
        return found


def warm_disk(folder: Path) -> Path:
    """A disk of one's own with a machine on it that has started already; the first call in a checkout starts it."""
    if not SNAPSHOT.exists():
        new = folder / "new.qcow2"
        backing = ("-b", str(BUILT / "disk.img"), "-F", "raw")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(new)], check=True, timeout=60)
        (folder / "first").mkdir()
        with Machine(folder / "first", new, warm=False) as machine:
            machine.until("systemctl is-active dbus", "D-Bus")
            machine.run("modprobe hci_vhci; systemctl start bluetooth.service")
            machine.run(
                "lykta-gateway --help >/dev/null; python3 -c 'import bleak'", check=False
            )  # what is read stays in memory
            machine.run("sync")
            machine.keep()
        new.rename(SNAPSHOT)
    own = folder / "own.qcow2"
    shutil.copyfile(SNAPSHOT, own)
    return own

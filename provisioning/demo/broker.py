# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The demo's own MQTT broker on a loopback port: mosquitto where it is installed, else amqtt."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from provisioning.demo.processes import Child
from provisioning.enroll import Broker
from provisioning.errors import DemoError

HOST: Final = "127.0.0.1"
_TRIES: Final = 5
_START_S: Final = 20.0
_POLL_S: Final = 0.02


@contextmanager
def running_broker(folder: Path, logs: Path, stopped: Callable[[], bool]) -> Iterator[tuple[Broker, Child, str]]:
    """A broker for as long as the block lasts: its address, its process, and which program it is."""
    last: DemoError | None = None
    for _ in range(_TRIES):
        port = _free_port()
        name, command = _command(folder, port)
        with Child("broker", command, logs) as child:
            try:
                _wait(port, child, stopped)
            except DemoError as error:
                last = error
                if stopped():
                    raise
                continue
            yield Broker(HOST, port), child, name
            return
    raise DemoError("No broker could be started.", reason=str(last and last.reason))


def _wait(port: int, child: Child, stopped: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _START_S
    while not _accepts(port):
        child.check()
        if stopped():
            raise DemoError("Stopped before the first reading.")
        if time.monotonic() > end_s:
            raise DemoError(f"The broker does not answer within {_START_S:g} s.", reason=child.tail())
        time.sleep(_POLL_S)
    child.check()  # it was this broker that answered, not another process that took the port


def _command(folder: Path, port: int) -> tuple[str, list[str]]:
    mosquitto = shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if mosquitto is None:
        return "amqtt", [sys.executable, "-m", "provisioning.demo.amqtt_broker", str(port)]
    config = folder / f"mosquitto-{port}.conf"
    # Started by root it would change to a user that does not exist everywhere.
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(f"listener {port} {HOST}\nallow_anonymous true\npersistence false\n{user}", encoding="utf-8")
    return "mosquitto", [mosquitto, "-c", str(config)]


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0

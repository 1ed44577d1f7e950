# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A street of boards on serial lines, a gateway that carries releases to them, and a register that says when."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from provisioning.bench.package import Package
from provisioning.bench.rehearsal import VirtualBoard
from provisioning.city import City, create_city
from provisioning.images import identity_map
from provisioning.register import rollouts
from provisioning.updates import keys
from provisioning.updates.release import Release
from provisioning.updates.rollout import BoardState
from tests.bench_rig import control
from tests.city import ROOT, wait_until
from tests.node_rig import identity_files
from tests.update_rig import board_image

PATIENCE_S = 240
_ENV = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class Street:
    """`count` boards that run *node*; each is a process, and so is the gateway."""

    LINK = "serial"
    patience_s = PATIENCE_S
    _environment: ClassVar[dict[str, str]] = {}

    def __init__(self, folder: Path, node: Package, count: int = 2, interval_ms: int = 1000) -> None:
        self.folder = folder
        self.city: City = create_city(folder / "city", "Teststad")
        keys.create(self.city)
        self.key = keys.signing(self.city)
        self.registry = self.city.registry()
        self.boards = [
            self.registry.register_device("street_light", name=f"lamp {number}") for number in range(1, count + 1)
        ]
        self._ports = [folder / f"board{number}.tty" for number in range(count)]
        self._images = []
        for number, device in enumerate(self.boards):
            known = {"link": self.LINK, "interval_ms": interval_ms}
            values = identity_map(self.registry, device, node.board, **known) | {"queue_bytes": 8192}
            place = folder / f"board{number}"
            self._images.append(board_image(place, node, identity_files(values), node.board, self.key))
        self._run = ["--board", node.board]
        self._config = folder / "gateway" / "gateway.toml"
        where = ("--out", str(self._config.parent), *self._gateway_link(), "--broker", "127.0.0.1:9")
        self.lykta("gateway", "enroll", "pole box", *where)
        self._config.write_text(self._with_links(self._config.read_text()))
        self._gateway: subprocess.Popen[bytes] | None = None

    def _gateway_link(self) -> list[str]:
        """Return the options of `gateway enroll` that say how boards reach it."""
        return ["--serial-port", str(self._ports[0])]

    def _with_links(self, config: str) -> str:
        """Return the gateway's configuration with all its links."""
        more = [
            f'\n[[links]]\nname = "line{at}"\ntype = "serial"\nport = "{port}"\n' for at, port in enumerate(self._ports)
        ]
        return config + "".join(more[1:])

    def _surroundings(self, _stack: ExitStack) -> None:
        """Start what is there before boards and gateway."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """While the block lasts boards and gateway run; a failure tells what they said."""
        with ExitStack() as stack:
            stack.callback(self.registry.close)
            stack.callback(self.kill_gateway)
            self._surroundings(stack)
            for number, image in enumerate(self._images):
                where = ["--port", str(self._ports[number]), "--control", str(self._control(number))]
                itself = ["--seed", str(number), "--radio-id", f"board {number}"]
                module = ["boards.virtual", "run", str(image), *where, *itself, *self._run]
                process = self._started(module, f"board{number}.log")
                stack.callback(process.wait, 60)
                stack.callback(process.kill)
            self.start_gateway()
            try:
                yield
            except BaseException:
                for log in sorted(self.folder.glob("*.log")):
                    print(f"---- {log.name}\n{log.read_text(errors='replace')[-6000:]}")
                raise

    def _control(self, number: int) -> Path:
        return self._ports[number].with_suffix(".control")

    def board(self, number: int, command: str, **arguments: Any) -> dict[str, Any]:
        """Do something to a board by hand; its state afterwards."""
        made = VirtualBoard(str(self._ports[number]), self._control(number), self._images[number])
        return control(made, command, **arguments)

    def image(self, number: int) -> Path:
        """A board's flash."""
        return self._images[number]

    def start_gateway(self) -> None:
        """Begin, or begin again."""
        self._gateway = self._started(["gateway.cli", "run", "--config", str(self._config)], "gateway.log")

    def kill_gateway(self) -> None:
        """SIGKILL."""
        if self._gateway is not None:
            self._gateway.kill()
            self._gateway.wait(60)
            self._gateway = None

    def lykta(self, *arguments: str, code: int = 0) -> str:
        """Run a `lykta` command on this city; return what it printed."""
        command = [sys.executable, "-m", "provisioning.cli", "-C", str(self.city.home), *arguments]
        done = subprocess.run(command, env=_ENV, capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def save(self, release: Release, name: str) -> str:
        """The release as a file; its path."""
        path = self.folder / f"{name}.lyktaup"
        path.write_bytes(release.write())
        return str(path)

    def states(self, name: str) -> list[BoardState]:
        """What the register has of a roll-out's boards."""
        with self.registry.reading() as connection:
            return rollouts.boards(connection, name)

    def until(self, name: str, done: Callable[[list[BoardState]], object], what: str) -> list[BoardState]:
        """Wait until the boards of a roll-out are so."""
        wait_until(lambda: bool(done(self.states(name))), what, self.patience_s)
        return self.states(name)

    def events(self, event: str) -> list[dict[str, Any]]:
        """What the gateway logged of this."""
        log = self.folder / "gateway.log"
        lines = log.read_text(errors="replace").split("\n")[:-1] if log.exists() else []
        found = [json.loads(line) for line in lines if f'"event": "{event}"' in line]
        return [each for each in found if each["event"] == event]

    def _started(self, module: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as out:
            command, env = [sys.executable, "-m", *module], {**_ENV, **self._environment}
            return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

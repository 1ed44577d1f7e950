# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A whole small city for end-to-end tests, made with the commands that people use, each part a process of its own."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import gateway.cli
import provisioning.cli
from provisioning.demo.flash import read_queue
from tests.serial_tap import SerialTap

ROOT = Path(__file__).parent.parent
_READY = '"event": "ready"'
_SHORT = frozenset(
    {"init", "register", "gateway", "board", "role", "org", "commander", "log", "report", "retire", "prove"}
)
"""Commands that look at files and end: their command lines are called in this process, since to load a process anew
takes a second of a processor, and these tests wait for little else. What stays, listens or is killed has its own."""
_ENV = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def wait_until(done: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    """Return when *done*; what it asks has no event to wait for, since it lies in another process."""
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain: {what}")
        time.sleep(0.02)


def _called(main: Callable[[list[str]], int], words: list[str]) -> tuple[int, str, str]:
    """Call a command line here; return its exit code and what it printed."""
    said, noted = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(noted):
        code = main(words)
    return code, said.getvalue(), noted.getvalue()


class City:
    """A register, a certificate authority, one board and one gateway with a tapped serial line between them."""

    def __init__(
        self,
        folder: Path,
        broker_port: int,
        interval_ms: int = 200,
        seed: int = 1,
        kind: str = "street_light",
        board: str = "virtual",
        scenario: str = "street",
        settings: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.broker_port = broker_port
        self.seed = seed
        self.run_options = ["--board", board, "--scenario", scenario]
        self.image = folder / "board.image"
        self.control = folder / "board.control"
        self.config = folder / "gateway" / "gateway.toml"
        self.board_port = folder / "board.tty"
        self._gateway_port = folder / "gateway.tty"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.lykta("init", str(folder / "city"), "--city", "Teststad")
        self.dev_eui = self.lykta("register", "--kind", kind, "--name", "lamp 1").strip()
        self.lykta(
            *("gateway", "enroll", "pole box", "--out", str(self.config.parent)),
            *(*self._gateway_link(), "--broker", f"127.0.0.1:{broker_port}"),
        )
        self.lykta(
            *("board", "make", self.dev_eui, str(self.image), "--interval-ms", str(interval_ms), "--board", board),
            *self._board_link(),
            *(f"--set={pair}" for pair in settings),
        )
        self._connect()

    def _gateway_link(self) -> list[str]:
        """Return the options of `gateway enroll` that say how boards reach it."""
        return ["--serial-port", str(self._gateway_port)]

    def _board_link(self) -> list[str]:
        """Return the options of `board make` that say how it reaches its gateway."""
        return []

    def _connect(self) -> None:
        self.tap = SerialTap(self.board_port, self._gateway_port)

    def _disconnect(self) -> None:
        self.tap.close()

    def lykta(self, *arguments: str, code: int = 0, timeout_s: float = 100) -> str:
        """Run a `lykta` command on this city; return what it printed to standard output."""
        words = ["-C", str(self.folder / "city"), *arguments]
        if arguments[0] in _SHORT:
            found, said, noted = _called(provisioning.cli.main, words)
            assert found == code, f"{arguments}: {found}\n{said}{noted}"
            return said
        command = [sys.executable, "-m", "provisioning.cli", *words]
        done = subprocess.run(command, env=_ENV, capture_output=True, text=True, timeout=timeout_s, check=False)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start_board(self) -> None:
        """Power on; return when the serial port is there."""
        command = ["boards.virtual", "run", str(self.image), "--port", str(self.board_port), *self.run_options]
        self._start("board", [*command, "--control", str(self.control), "--seed", str(self.seed)])
        wait_until(self._answers, "the board's control socket")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as bench:
            return bench.connect_ex(str(self.control)) == 0  # that its file is there does not yet say so

    def start_gateway(self, environment: dict[str, str] | None = None) -> None:
        """Start the daemon; return when it is ready, or has ended."""
        before = self.log("gateway").count(_READY)
        self._start("gateway", ["gateway.cli", "run", "--config", str(self.config)], environment)
        wait_until(lambda: self.log("gateway").count(_READY) > before or not self.alive("gateway"), "a ready gateway")

    def start_verifier(self) -> None:
        """Start `lykta verify`, with a session at the broker, its lines going to verified.jsonl."""
        where = ["--broker", f"127.0.0.1:{self.broker_port}", "--client-id", "verifier", "--json", "--from-start"]
        command = ["provisioning.cli", "-C", str(self.folder / "city"), "verify", *where]
        self._start("verifier", command, output=self.folder / "verified.jsonl")
        self.wait_for_log("verifier", "connected")

    def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self._processes.pop(name)
        process.kill()
        process.wait(timeout=20)

    def stop(self, name: str) -> int:
        """End a process as an operator would, and return its exit status."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGINT if name == "verifier" else signal.SIGTERM)
        return process.wait(timeout=30)

    def alive(self, name: str) -> bool:
        """Tell whether a process that was started still runs."""
        return self._processes[name].poll() is None

    def board(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Do something to the board by hand and return its state."""
        with socket.socket(socket.AF_UNIX) as bench:
            bench.settimeout(30)
            bench.connect(str(self.control))
            bench.sendall(json.dumps({"cmd": command, **arguments}).encode() + b"\n")
            answer = json.loads(bench.makefile("rb").readline())
        assert answer["ok"], answer
        state: dict[str, Any] = answer["state"]
        return state

    def stats(self) -> dict[str, Any]:
        """Return what `lykta-gateway stats` says."""
        found: dict[str, Any] = self._gateway_says("stats")
        return found

    def commands(self) -> list[dict[str, Any]]:
        """Return what `lykta-gateway commands` lists, newest first."""
        found: list[dict[str, Any]] = self._gateway_says("commands")
        return found

    def _gateway_says(self, word: str) -> Any:
        found, said, noted = _called(gateway.cli.main, [word, "--config", str(self.config), "--json"])
        assert found == 0, f"{word}: {found}\n{said}{noted}"
        return json.loads(said)

    def counted(self, group: str, name: str) -> int:
        """Return how often the daemon has counted this; a running one writes its counts down each second."""
        return int(self.stats().get("since_start", {}).get(group, {}).get(name, 0))

    def verified(self) -> list[dict[str, Any]]:
        """Return the readings that the verifier has printed so far."""
        return [line for line in self._lines() if "seq" in line]

    def verified_seqs(self) -> set[int]:
        """Return their sequence numbers."""
        return {line["seq"] for line in self.verified()}

    def summary(self) -> dict[str, Any]:
        """Return the verifier's last word; it must have ended."""
        found: dict[str, Any] = self._lines()[-1]["summary"]
        return found

    def log(self, name: str) -> str:
        """Return what a process has logged, over all its starts."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for_log(self, name: str, text: str, timeout_s: float = 60) -> None:
        """Return when a process has logged *text*."""
        wait_until(lambda: text in self.log(name), f"{text!r} in the log of the {name}", timeout_s)

    def close(self) -> None:
        """End everything."""
        for name in list(self._processes):
            with contextlib.suppress(ProcessLookupError):
                self.kill(name)
        self._disconnect()

    def _lines(self) -> list[dict[str, Any]]:
        path = self.folder / "verified.jsonl"
        *whole, _rest = path.read_text().split("\n") if path.exists() else [""]
        return [json.loads(line) for line in whole]

    def _start(
        self, name: str, module: list[str], environment: dict[str, str] | None = None, output: Path | None = None
    ) -> None:
        with contextlib.ExitStack() as files:
            log: IO[bytes] = files.enter_context((self.folder / f"{name}.log").open("ab"))
            out = log if output is None else files.enter_context(output.open("ab"))
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", *module],
                env={**_ENV, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )


def settle(city: City) -> set[int]:
    """Power the board off, let the gateway publish what it holds; return the numbers of the readings made."""
    city.stop("board")
    queue = read_queue(city.image)
    wait_until(lambda: city.stats()["waiting"] == {"city": 0}, "the outbox to be empty")
    durable = city.stats()["durable"]
    wait_until(lambda: len(city.verified_seqs()) >= durable, "the verifier to have everything")
    return set(range(1, max(queue.seqs) + 1)) - queue.waiting


def nothing_lost(city: City) -> None:
    """End everything in order; what the board believes to be delivered must have been verified, all of it once."""
    delivered = settle(city)
    verified = city.verified_seqs()
    assert verified >= delivered  # what a receipt has freed on the board was verified
    assert city.stats()["durable"] == len(verified)
    city.stop("gateway")
    assert city.stop("verifier") == 0
    summary = city.summary()
    assert summary["clean"]
    assert (summary["readings"], summary["duplicates"], summary["missing"]) == (len(verified), 0, 0)


_City = TypeVar("_City", bound=City)


@contextlib.contextmanager
def running(city: _City) -> Iterator[_City]:
    """A city whose processes end with the block; on a failure their logs are printed."""
    try:
        yield city
    except BaseException:
        for name in ("board", "gateway", "verifier", "air"):
            print(f"---- {name}\n{city.log(name)[-4000:]}")
        raise
    finally:
        city.close()


def running_city(folder: Path, broker_port: int, **settings: Any) -> contextlib.AbstractContextManager[City]:
    """A city on a serial line whose processes end with the block."""
    return running(City(folder, broker_port, **settings))

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of the tests' own: data in a folder under /tmp, a loopback port nobody else has, a password."""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

_ADVICE = "the server of PostgreSQL is not installed: `make test` installs it (tools/system_packages.sh)"


def _program(name: str) -> str:
    found = shutil.which(name)
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    for folder in reversed(folders):
        if found is None and (folder / name).exists():
            found = str(folder / name)
    if found is None:
        pytest.fail(_ADVICE)
    return found


def _end_with_parent() -> None:
    """Let the kernel end the server when these tests are killed (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


class Postgres:
    """A running server. `url()` makes an empty database and says how to reach it."""

    def __init__(self) -> None:
        self.user, self.password = "lykta", secrets.token_hex(12)
        self._folder = Path(tempfile.mkdtemp(prefix="lykta-postgres-"))
        # The server refuses to run as root: then it runs as the user that its package made.
        self._account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        data, password_file = self._folder / "data", self._folder / "password"
        password_file.write_text(self.password)
        if self._account:
            for path in (self._folder, password_file):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        self._run(
            *(_program("initdb"), "--pgdata", str(data), "--username", self.user, "--pwfile", str(password_file)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
        )
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        # Not synced to disk: these tests kill clients, not the server's computer.
        options = ["listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=", "fsync=off"]
        options.append("log_line_prefix=%m [%u] ")
        settings = [word for option in options for word in ("-c", option)]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", str(data), *settings],
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_end_with_parent,
                **self._user(),
            )
        self._wait()

    def _wait(self) -> None:
        """Return when it takes connections."""
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(
                    host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname="postgres"
                ).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail((self._folder / "log").read_text(errors="replace"))
                time.sleep(0.05)
            else:
                return

    def _user(self) -> dict[str, Any]:
        account = self._account
        return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def _run(self, *command: str) -> None:
        done = subprocess.run(list(command), capture_output=True, cwd="/", check=False, timeout=60, **self._user())
        if done.returncode:
            pytest.fail(f"{command[0]}: {(done.stdout + done.stderr).decode(errors='replace')}")

    def url(self, *, with_password: bool = True) -> str:
        """Make an empty database; return its URL."""
        name = f"register_{secrets.token_hex(4)}"
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        secret = f":{self.password}" if with_password else ""
        return f"postgresql://{self.user}{secret}@127.0.0.1:{self.port}/{name}"

    def run(self, url: str, *statements: str) -> None:
        """Run statements as the owner in the database at `url`."""
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def log(self) -> str:
        """What the server has logged."""
        return (self._folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        """End the server and remove what it kept."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=30)
        shutil.rmtree(self._folder)

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of the tests' own: data in a folder under /tmp, a loopback port nobody else has, a password."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

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
        self._pg_ctl = _program("pg_ctl")
        # Not synced to disk: these tests kill clients, not the server's computer.
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories= -c fsync=off"
        self._data = str(data)
        log = str(self._folder / "log")
        self._run(self._pg_ctl, "start", "--wait", "--pgdata", self._data, "--log", log, "-o", options)

    def _run(self, *command: str) -> None:
        account = self._account
        user = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        # Its output goes to a file: the server keeps what it inherits open for as long as it runs.
        with (self._folder.parent / f"{self._folder.name}.out").open("w+b") as output:
            done = subprocess.run(
                list(command),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd="/",
                check=False,
                timeout=60,
                **user,
            )  # type: ignore[call-overload]
            output.seek(0)
            if done.returncode:
                pytest.fail(f"{command[0]}: {output.read().decode(errors='replace')}")

    def url(self, *, with_password: bool = True) -> str:
        """Make an empty database; return its URL."""
        name = f"register_{secrets.token_hex(4)}"
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        secret = f":{self.password}" if with_password else ""
        return f"postgresql://{self.user}{secret}@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """End the server and remove what it kept."""
        self._run(self._pg_ctl, "stop", "--wait", "--mode", "immediate", "--pgdata", self._data)
        shutil.rmtree(self._folder)
        (self._folder.parent / f"{self._folder.name}.out").unlink()

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""run and check-config."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway import config, directory
from gateway.cli.output import EXIT_FAILED, say, say_error, with_config, with_logs
from gateway.daemon import Daemon
from gateway.dividing import divide
from gateway.errors import GatewayError, OutputRefused
from gateway.operate import heap, install, logs
from provisioning.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWITCH_S = 0.0005
_COLLECT_AFTER = 20_000
"""Objects, by default 700: a batch of readings makes thousands that are gone with it."""


def add(commands: Any) -> None:
    """Add this module's commands."""
    both = [with_config(), with_logs()]
    run = commands.add_parser("run", parents=both, help="run until SIGTERM or SIGINT; SIGHUP reloads")
    run.set_defaults(command=_run)
    check = commands.add_parser("check-config", parents=[with_config()], help="read everything, start nothing")
    check.set_defaults(command=_check)


def _run(options: argparse.Namespace) -> int:
    os.umask(0o077)
    logs.set_up(options.log_format, options.log_level)
    heap.keep_one()
    # Each look at a socket or at SQLite lets the other thread of two run, by default for 5 ms: at 3 000 readings/s a
    # third of the frames then found the queue full.
    sys.setswitchinterval(_SWITCH_S)
    daemon = Daemon(config.load(options.config, options.worker))
    # What was loaded stays, and need not be looked through again for garbage: a fifth of a reading went into that.
    gc.collect()
    gc.freeze()
    heap.give_back()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    failed = False
    try:
        asyncio.run(daemon.run())
    except* GatewayError as group:  # also one alone, of the start; a group when a task could not go on
        failed = True
        say_error("\n".join(str(error) for error in group.exceptions))
    return EXIT_FAILED if failed else 0


def _check(options: argparse.Namespace) -> int:
    loaded = config.load(options.config, options.worker)
    with _credentials():
        config.load_identity(loaded)
        register = loaded.config.register_
        kek = loaded.secret(register.kek)
        with Reader.open(register.url, kek, base=loaded.base, password=loaded.password()) as registry:
            refusals = directory.check(registry, loaded.guidelines()[0], loaded.config.platforms)
    if refusals:
        raise OutputRefused("\n".join(refusals))
    count = loaded.config.workers.count
    say(f"{options.config}: OK" if count == 1 else f"{options.config}: OK, for {count} workers and a front")
    with suppress(OSError):  # the state is the service's and root's
        if divide.needed(loaded.state_root, count):
            say(f"{loaded.state_root} is divided otherwise; next, with the gateway stopped: lykta-gateway divide")
    return 0


@contextmanager
def _credentials() -> Iterator[None]:
    """For root outside of the service: the installed credentials, under the names that systemd gives them."""
    if "CREDENTIALS_DIRECTORY" in os.environ or not os.access(install.CREDENTIALS, os.R_OK | os.X_OK):
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in install.CREDENTIALS.iterdir():
            (Path(folder) / f"{install.PREFIX}{path.name}").symlink_to(path)
        os.environ["CREDENTIALS_DIRECTORY"] = folder
        try:
            yield
        finally:
            del os.environ["CREDENTIALS_DIRECTORY"]

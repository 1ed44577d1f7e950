# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""install: make the service of an enrolled gateway."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway import config
from gateway.cli.output import say, say_error
from gateway.dividing import divide
from gateway.errors import InstallError
from gateway.operate import install

if TYPE_CHECKING:
    import argparse

_SERVICE = "lykta-gateway.service"
_OTHERS = {False: (install.TARGET, install.FRONT), True: (_SERVICE,)}
"""By whether there are several workers: what does not run then."""


def add(commands: Any) -> None:
    """Add this module's command."""
    command = commands.add_parser("install", help="make a systemd service of an enrolled gateway, and start it")
    command.add_argument("--config", type=Path, required=True, metavar="FILE", help="the enrolled gateway.toml")
    command.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="put it below DIR, start nothing")
    command.add_argument("--no-start", action="store_true", help="install, but neither enable nor start")
    command.set_defaults(command=_install)


class _ToService:
    """Gives paths to the service's user."""

    def __init__(self) -> None:
        try:
            found = pwd.getpwnam(install.USER)
        except KeyError as error:
            raise InstallError(
                f"there is no user {install.USER}; next: systemd-sysusers, then the same command again"
            ) from error
        self._uid, self._gid = found.pw_uid, found.pw_gid

    def __call__(self, path: Path) -> None:
        os.chown(path, self._uid, self._gid)

    def group(self, path: Path) -> None:
        """Let the service's group into a directory that keeps its owner."""
        os.chown(path, -1, self._gid)


def _install(options: argparse.Namespace) -> int:
    made = install.plan(options.config)
    elsewhere = options.root != Path("/")
    if not elsewhere and os.geteuid() != 0:
        raise InstallError("installing a service needs root: sudo lykta-gateway install ...")
    if not elsewhere and shutil.which("systemd-sysusers"):
        _run("systemd-sysusers", "--inline", f'u {install.USER} - "Lykta gateway" /var/lib/lykta')
    chown = (lambda _path: None) if elsewhere else _ToService()
    for path in install.put(made, options.root, chown):
        say(f"wrote {path}")
    if elsewhere or options.no_start:
        return 0
    _run("systemctl", "daemon-reload")
    _start(made)
    say(f"the service runs; next: lykta-gateway status{' --worker 1' if made.workers > 1 else ''}")
    return 0


def _start(made: install.Plan) -> None:
    """Start what the configuration asks for; where that is not what ran, divide the state between."""
    loaded = config.load(Path("/etc/lykta/gateway.toml"))
    others = _OTHERS[made.workers > 1]
    if divide.needed(loaded.state_root, made.workers):
        _run("systemctl", "stop", _SERVICE, install.TARGET)
        done = divide.divide(loaded.state_root, loaded.config)
        say(f"divided the state among {made.workers}: {done.folder}; what was there before stays")
    wanted = Path("/etc/systemd/system") / f"{install.TARGET}.wants"
    gone = [each.name for each in wanted.glob("lykta-gateway-worker@*.service") if each.name not in made.units]
    _run("systemctl", "disable", "--now", *others, *gone)
    _run("systemctl", "enable", *made.units)
    _run("systemctl", "restart", *made.units)  # Type=notify: it returns when they are ready, or fails


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    if done.returncode:
        say_error(done.stderr.strip())
        raise InstallError(f"{' '.join(command)} failed; next: journalctl -u {_SERVICE} -n 30")

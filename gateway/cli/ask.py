# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""status and reload: asked of the running daemon through its socket."""

from __future__ import annotations

import json
import re
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gateway import config, division
from gateway.cli.output import EXIT_CONFIG, EXIT_FAILED, say, say_error, with_config, with_json
from gateway.errors import NotRunning
from gateway.operate import control, words
from provisioning.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.config import Loaded

EXIT_NOT_READY = 4
_STATE_DIR: Final = re.compile(r'(?m)^\s*state_dir\s*=\s*"([^"\\]+)"')


def add(commands: Any) -> None:
    """Add this module's commands."""
    status = commands.add_parser(
        "status",
        parents=[with_config(), with_json()],
        help=f"how the running gateway is; exit code 0: it takes readings, 1: it does not run, {EXIT_NOT_READY}: no",
    )
    status.add_argument("--devices", type=int, default=10, metavar="N", help="show the N devices heard last")
    status.set_defaults(command=_status)
    reload = commands.add_parser(
        "reload", parents=[with_config()], help="take the changed configuration and certificates; refused if wrong"
    )
    reload.add_argument("--front", action="store_true", help="of several workers: only the front")
    reload.set_defaults(command=_reload)


def _status(options: argparse.Namespace) -> int:
    try:
        loaded = config.load(options.config, options.worker)
    except ConfigError as error:
        return _status_despite(options, error)
    if loaded.config.workers.count > 1 and not options.worker:
        return _status_of_all(options, loaded)
    found = control.ask(loaded.state_dir, "status")
    say(json.dumps(found) if options.json else "\n".join(words.describe(found, options.devices)))
    return 0 if found["ready"] else EXIT_NOT_READY


def _status_of_all(options: argparse.Namespace, loaded: Loaded) -> int:
    root, count = loaded.state_root, loaded.config.workers.count
    return _show_all(options, root, [division.place(root, count, number) for number in range(1, count + 1)])


def _show_all(options: argparse.Namespace, root: Path, workers: Sequence[Path]) -> int:
    """Ask the front and every worker."""
    folders = {"front": root / division.FRONT}
    folders |= {f"worker {number}": folder for number, folder in enumerate(workers, 1)}
    found: dict[str, dict[str, Any] | None] = {}
    for name, folder in folders.items():
        try:
            found[name] = control.ask(folder, "status")
        except NotRunning:
            found[name] = None
    if options.json:
        say(json.dumps(found))
    for name, each in () if options.json else found.items():
        say(f"== {name}")
        if each is None:
            say("does not run; next: systemctl status 'lykta-gateway-*'")
        else:
            say("\n".join(words.describe_front(each) if "front" in each else words.describe(each, options.devices)))
    if None in found.values():
        return EXIT_FAILED
    return 0 if all(each and each["ready"] for each in found.values()) else EXIT_NOT_READY


def _status_despite(options: argparse.Namespace, error: ConfigError) -> int:
    """Show the gateway that runs with what the file said before. Raises *error* where none does."""
    roots = division.sources(_root(options.config))
    if len(roots) > 1 and not options.worker:
        _show_all(options, _root(options.config), roots)
    else:
        try:
            found = control.ask(_state_dir(options.config, options.worker), "status")
        except NotRunning:
            raise error from None
        say(json.dumps(found) if options.json else "\n".join(words.describe(found, options.devices)))
    say_error("\n".join(error.lines()))
    say_error(
        "above is the gateway that runs, with what that file said when it was right; do not restart it before it is"
    )
    return EXIT_CONFIG


def _reload(options: argparse.Namespace) -> int:
    """One process; or of several workers each, and the front after them: it lets in whom they know."""
    roots = division.sources(_root(options.config))
    if options.front and len(roots) == 1:
        say_error("this gateway is one process and has no front; reload it without --front")
        return EXIT_FAILED
    if len(roots) == 1 or options.worker:
        return _reload_one(options, _state_dir(options.config, options.worker))
    front = _root(options.config) / division.FRONT
    for folder in [front] if options.front else [*roots, front]:
        say(f"== {folder.name}")
        if _reload_one(options, folder) == EXIT_FAILED:
            return EXIT_FAILED
    return 0


def _reload_one(options: argparse.Namespace, folder: Path) -> int:
    try:
        outcome = control.ask(folder, "reload")
    except NotRunning:
        config.load(options.config, options.worker)  # a wrong file is the better thing to say
        raise
    if not outcome["ok"]:
        say_error(f"{outcome['message']}\nnothing was changed; the gateway goes on as it was")
        return EXIT_FAILED
    say(outcome["message"])
    return 0


def _state_dir(path: Path, worker: int) -> Path:
    """Return the state directory even of a file that is refused: the daemon that runs on it has to refuse it."""
    try:
        return config.load(path, worker).state_dir
    except ConfigError:
        pass
    found = division.sources(_root(path))
    return found[worker - 1] if 0 < worker <= len(found) else found[0]


def _root(path: Path) -> Path:
    """Return the state directory of all workers, also of a file that is refused."""
    told: object = None
    with suppress(OSError, ValueError, AttributeError):
        text = path.read_text(encoding="utf-8")
        line = _STATE_DIR.search(text)
        told = line[1] if line else None  # for a file that is no TOML at all
        told = tomllib.loads(text).get("gateway", {}).get("state_dir", "state")
    return path.absolute().parent / (told if isinstance(told, str) else "state")

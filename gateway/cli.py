# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""``lykta-gateway``: run the daemon, check its configuration, show what it holds. Parse, call, print, exit code."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import config
from gateway.daemon import OUTBOX_FILE, SESSIONS_FILE, Daemon, load_identity
from gateway.errors import GatewayError, IdentityError
from gateway.network import state_files
from gateway.network.keyring import Keyring
from gateway.network.sessions import SessionStore
from gateway.operate import counters, logs
from gateway.outbox import stats
from provisioning.errors import ConfigError, ProvisioningError, SecretError
from provisioning.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_FAILED = 1
EXIT_CONFIG = 2
_EUI_DIGITS = 16


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 1 when it failed, 2 when the configuration is wrong."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except ProvisioningError as error:
        _print_error("\n".join(error.lines()))
        return EXIT_CONFIG if isinstance(error, ConfigError | SecretError) else EXIT_FAILED
    except (GatewayError, OSError) as error:
        _print_error(str(error))
        return EXIT_CONFIG if isinstance(error, IdentityError) else EXIT_FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lykta-gateway", description="Lykta's gateway daemon.")
    commands = parser.add_subparsers(required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, required=True, metavar="FILE", help="gateway.toml")
    run = commands.add_parser("run", parents=[common], help="run until SIGTERM or SIGINT")
    run.add_argument("--log-format", choices=["json", "text"], default="json", help="one event a line, on stderr")
    run.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    run.set_defaults(command=_run)
    check = commands.add_parser("check-config", parents=[common], help="read everything, start nothing")
    check.set_defaults(command=_check)
    show = commands.add_parser("stats", parents=[common], help="what the outbox holds, running or not")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(command=_stats)
    refused = commands.add_parser("quarantine", parents=[common], help="who was refused, for a person to look at")
    refused.add_argument("--json", action="store_true", help="for programs")
    refused.set_defaults(command=_quarantine)
    forget = commands.add_parser("forget-nonces", parents=[common], help="let a board that was wiped join again")
    forget.add_argument("dev_eui", type=_eui, metavar="DEV_EUI", help="16 hex digits")
    forget.set_defaults(command=_forget_nonces)
    return parser


def _run(options: argparse.Namespace) -> int:
    os.umask(0o077)
    logs.set_up(options.log_format, options.log_level)
    daemon = Daemon(config.load(options.config))
    failed = False
    try:
        asyncio.run(daemon.run())
    except* GatewayError as group:  # also one alone, of the start; a group when a task could not go on
        failed = True
        _print_error("\n".join(str(error) for error in group.exceptions))
    return EXIT_FAILED if failed else 0


def _check(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    load_identity(loaded)
    register = loaded.config.register_
    Registry.open(register.url, loaded.secret(register.kek), base=loaded.base).close()
    _print(f"{options.config}: OK")
    return 0


def _stats(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    held = stats.read(loaded.state_dir / OUTBOX_FILE)
    counts = counters.load(loaded.state_dir)
    if options.json:
        _print(json.dumps({**asdict(held), "since_start": counts}))
        return 0
    _print(f"durable readings: {held.durable}")
    for stream_id, records in held.streams.items():
        _print(f"  stream {stream_id}: {records} records")
    for platform, published in held.published.items():
        _print(f"published to {platform}: {published}, waiting: {held.waiting[platform]}")
    for dev_eui, device in held.devices.items():
        above = ", ".join(f"{first}-{last}" for first, last in device.runs_above) or "nothing"
        _print(
            f"device {dev_eui}: held up to {device.contiguous}, above it {above}; "
            f"readings {device.readings}, gone on the device {device.gone}, unreadable {device.unreadable}"
        )
    for reason, count in counts.get("refused", {}).items():
        _print(f"refused since the start, {reason}: {count}")
    return 0


def _quarantine(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    entries = state_files.load(loaded.state_dir / state_files.QUARANTINE_FILE) or []
    if options.json:
        _print(json.dumps(entries))
        return 0
    for entry in entries:
        _print(
            f"{entry['device']}: {entry['reason']}, {entry['frames']} frames, last by {entry['link']} "
            f"{entry['address']}: {entry['why']}"
        )
    if not entries:
        _print("nobody was refused")
    return 0


def _forget_nonces(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    path = loaded.state_dir / SESSIONS_FILE
    if not path.is_file():
        raise GatewayError(f"there are no sessions at {path}; the gateway has not run yet")
    keyring = Keyring(loaded.secret(loaded.config.register_.kek))
    with closing(SessionStore(path, keyring)) as sessions:  # also while the daemon runs: it asks the file at each join
        found = sessions.forget_dev_nonce(options.dev_eui)
        sessions.commit()
    if not found:
        raise GatewayError(f"device {options.dev_eui.hex()} never joined here; there is nothing to forget")
    _print(f"{options.dev_eui.hex()}: the next Join-Request is taken whatever its DevNonce")
    return 0


def _eui(text: str) -> bytes:
    if len(text) != _EUI_DIGITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not an EUI of {_EUI_DIGITS} hex digits")
    return bytes.fromhex(text)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _print_error(text: str) -> None:
    sys.stderr.write(f"lykta-gateway: {text}\n")


if __name__ == "__main__":
    sys.exit(main())

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""stats, quarantine, forget-nonces: what the files say, whether the daemon runs or not."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict
from typing import Any

from gateway import config
from gateway.cli.output import say, with_config, with_json
from gateway.daemon import OUTBOX_FILE, SESSIONS_FILE
from gateway.errors import GatewayError
from gateway.network import state_files
from gateway.network.keyring import Keyring
from gateway.network.sessions import SessionStore
from gateway.operate import counters
from gateway.outbox import stats

_EUI_DIGITS = 16


def add(commands: Any) -> None:
    """Add this module's commands."""
    both = [with_config(), with_json()]
    show = commands.add_parser("stats", parents=both, help="what the outbox holds, running or not")
    show.set_defaults(command=_stats)
    refused = commands.add_parser("quarantine", parents=both, help="who was refused, for a person to look at")
    refused.set_defaults(command=_quarantine)
    forget = commands.add_parser("forget-nonces", parents=both[:1], help="let a board that was wiped join again")
    forget.add_argument("dev_eui", type=_eui, metavar="DEV_EUI", help="16 hex digits")
    forget.set_defaults(command=_forget_nonces)


def _stats(options: argparse.Namespace) -> int:
    loaded = config.load(options.config, options.worker)
    held = stats.read(loaded.state_dir / OUTBOX_FILE)
    counts = counters.load(loaded.state_dir)
    if options.json:
        say(json.dumps({**asdict(held), "since_start": counts}))
        return 0
    say(f"durable readings: {held.durable}")
    for stream_id, records in held.streams.items():
        say(f"  stream {stream_id}: {records} records")
    for platform, published in held.published.items():
        say(f"published to {platform}: {published}, waiting: {held.waiting[platform]}")
    for dev_eui, device in held.devices.items():
        above = ", ".join(f"{first}-{last}" for first, last in device.runs_above) or "nothing"
        say(
            f"device {dev_eui}: held up to {device.contiguous}, above it {above}; "
            f"readings {device.readings}, gone on the device {device.gone}, unreadable {device.unreadable}"
        )
    for reason, count in counts.get("refused", {}).items():
        say(f"refused since the start, {reason}: {count}")
    return 0


def _quarantine(options: argparse.Namespace) -> int:
    loaded = config.load(options.config, options.worker)
    entries = state_files.load(loaded.state_dir / state_files.QUARANTINE_FILE) or []
    if options.json:
        say(json.dumps(entries))
        return 0
    for entry in entries:
        say(
            f"{entry['device']}: {entry['reason']}, {entry['frames']} frames, last by {entry['link']} "
            f"{entry['address']}: {entry['why']}"
        )
    if not entries:
        say("nobody was refused")
    return 0


def _forget_nonces(options: argparse.Namespace) -> int:
    loaded = config.load(options.config, options.worker)
    path = loaded.state_dir / SESSIONS_FILE
    if not path.is_file():
        raise GatewayError(f"there are no sessions at {path}; the gateway has not run yet")
    keyring = Keyring(loaded.secret(loaded.config.register_.kek))
    with closing(SessionStore(path, keyring)) as sessions:  # also while the daemon runs: it asks the file at each join
        found = sessions.forget_dev_nonce(options.dev_eui)
        sessions.commit()
    if not found:
        raise GatewayError(f"device {options.dev_eui.hex()} never joined here; there is nothing to forget")
    say(f"{options.dev_eui.hex()}: the next Join-Request is taken whatever its DevNonce")
    return 0


def _eui(text: str) -> bytes:
    if len(text) != _EUI_DIGITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not an EUI of {_EUI_DIGITS} hex digits")
    return bytes.fromhex(text)

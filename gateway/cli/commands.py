# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""commands: which ones this gateway took, what waits, what became of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gateway import config, division
from gateway.cli.output import say, with_config, with_json
from gateway.commands import listing
from gateway.daemon import SESSIONS_FILE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_SHOWN_DEVICES = 20


def add(commands: Any) -> None:
    """Add this module's commands."""
    parents = [with_config(), with_json()]
    show = commands.add_parser("commands", parents=parents, help="commands that were taken: what waits, how they ended")
    show.add_argument("--open", action="store_true", help="only those that are not over")
    show.add_argument("--last", type=int, default=20, metavar="N", help="the N newest (20; JSON: all)")
    show.set_defaults(command=_commands)


def _commands(options: argparse.Namespace) -> int:
    loaded = config.load(options.config, options.worker)
    count = loaded.config.workers.count
    if count > 1 and not options.worker:
        folders = [division.place(loaded.state_root, count, number) for number in range(1, count + 1)]
    else:
        folders = [loaded.state_dir]
    every = listing.read_all([folder / SESSIONS_FILE for folder in folders])
    found = [each for each in every if not (options.open and each.over)]
    if options.json:
        say(json.dumps([asdict(each) | {"over": each.over} for each in found]))
        return 0
    for each in found[: options.last]:
        say("\n".join(_described(each)))
    if len(found) > options.last:
        say(f"and {len(found) - options.last} older; --last {len(found)} shows them")
    if not found:
        say("no command is open" if options.open else "no command was taken; refused ones are in the log")
    return 0


def _described(each: listing.Listed) -> Iterator[str]:
    states = Counter(device.state for device in each.devices)
    counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
    yield (
        f"{_moment(each.taken_at)} {each.commander}/{each.id} {each.verb} by {each.platform}, "
        f"{'over' if each.over else 'until ' + _moment(each.expires_at)}: {counted}"
    )
    told = sorted(each.devices, key=lambda device: device.state == "done")
    for device in told[:_SHOWN_DEVICES]:
        again = f", asked again {device.asked_again} times" if device.asked_again else ""
        said = "" if not device.said else f", said {json.dumps(dict(device.said), ensure_ascii=False)}"
        yield f"  {device.dev_eui}: {device.state}{again}{said}"
    if len(told) > _SHOWN_DEVICES:
        yield f"  and {len(told) - _SHOWN_DEVICES} more; --json shows them"


def _moment(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""divide: share out what the gateway knows among the workers of the configuration, or bring it together again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway import config
from gateway.cli.output import say, with_config
from gateway.dividing import divide

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:
    """Add this module's command."""
    command = commands.add_parser(
        "divide",
        parents=[with_config()],
        help="share out sessions and receipts among the [workers] of the configuration, or bring them together again; "
        "the gateway must be stopped",
    )
    command.add_argument("--again", action="store_true", help="also where it is divided so already")
    command.set_defaults(command=_divide)


def _divide(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    count = loaded.config.workers.count
    among = "one process" if count == 1 else f"{count} workers"
    if not options.again and not divide.needed(loaded.state_root, count):
        say(f"the state is that of {among} already; nothing to do")
        return 0
    done = divide.divide(loaded.state_root, loaded.config)
    for number, sessions in enumerate(done.sessions, 1):
        say(f"worker {number}: {sessions} sessions" if count > 1 else f"{sessions} sessions")
    if done.moved:
        say(f"{done.moved} devices keep the addresses that they have; the front knows them until they join again")
    say(f"the state is that of {among} now: {done.folder}")
    kept = ", ".join(str(each) for each in done.before if each.is_dir())
    say(f"what was there before stays in {kept}; it must not be used again, and may be removed when all is well")
    return 0

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""front: run what stands before several workers."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING, Any

from gateway import config
from gateway.cli.output import with_config, with_logs
from gateway.front.service import Front
from gateway.operate import heap, logs

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:
    """Add this module's command."""
    front = commands.add_parser(
        "front", parents=[with_config(), with_logs()], help="run the front of several workers until SIGTERM or SIGINT"
    )
    front.set_defaults(command=_front)


def _front(options: argparse.Namespace) -> int:
    os.umask(0o077)
    logs.set_up(options.log_format, options.log_level)
    heap.keep_one()
    front = Front(config.load(options.config))
    gc.collect()
    gc.freeze()
    heap.give_back()
    asyncio.run(front.run())
    return 0

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""python -m boards.virtual.ble: the Bluetooth air in a process of its own."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from boards.errors import BoardsError
from boards.virtual.ble.air import Air, Conditions, open_air


def _parser() -> argparse.ArgumentParser:
    usual = Conditions()
    parser = argparse.ArgumentParser(prog="python -m boards.virtual.ble", description="The simulated Bluetooth air.")
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket; each connection is one controller")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loss", type=float, default=usual.loss, help="share of packets that are lost (default 0)")
    parser.add_argument("--delay-s", type=float, default=usual.delay_s, help="how long data is on its way (default 0)")
    parser.add_argument(
        "--supervision-s", type=float, default=usual.supervision_s, help="a dead connection lasts so long (default 1)"
    )
    return parser


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    conditions = Conditions(options.loss, options.delay_s, supervision_s=options.supervision_s)
    async with open_air(options.socket, Air(conditions, options.seed)):
        sys.stdout.write(f"air ready: {options.socket}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    options = _parser().parse_args()
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING)
    try:
        asyncio.run(_serve(options))
    except BoardsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

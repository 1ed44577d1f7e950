# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""python -m boards.virtual.air: the air in a process of its own, with any number of gateways in it."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path
from typing import TextIO

from boards.errors import BoardsError
from boards.virtual.air import messages
from boards.virtual.air.link_budget import PathLoss
from boards.virtual.air.medium import Medium
from boards.virtual.air.server import DEFAULT_SLACK_US, Air, open_socket
from boards.virtual.forwarder.forwarder import ForwarderConfig, run_forwarder


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, for example 127.0.0.1:1700")
    return host.strip("[]"), int(port)


def _eui(text: str) -> bytes:
    try:
        eui = bytes.fromhex(text)
    except ValueError:
        eui = b""
    if len(eui) != 8:
        raise argparse.ArgumentTypeError(f"{text!r} is not an EUI of 16 hex digits, for example aabbccddeeff0011")
    return eui


def _position(text: str) -> tuple[float, float]:
    try:
        x_m, y_m = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y in metres, for example 250,-40") from None
    return x_m, y_m


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m boards.virtual.air", description="The simulated air between radios."
    )
    add = parser.add_argument
    add("--socket", type=Path, required=True, metavar="PATH", help="Unix socket through which radios join")
    add("--seed", type=int, default=0, help="same seed, same levels (default 0)")
    add(
        "--slack-ms",
        type=float,
        default=DEFAULT_SLACK_US / 1000,
        help="how long messages may be on their way (default 8)",
    )
    add(
        "--shadowing-db",
        type=float,
        default=PathLoss().shadowing_db,
        help="spread of path loss between places (default 7.8)",
    )
    add("--fading-db", type=float, default=PathLoss().fading_db, help="spread between frames of one path (default 1)")
    add(
        "--forwarder",
        type=_address,
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="a gateway for this network server",
    )
    add(
        "--gateway-eui",
        type=_eui,
        action="append",
        default=[],
        metavar="HEX",
        help="EUI of the gateways, in the same order",
    )
    add(
        "--gateway-position",
        type=_position,
        action="append",
        default=[],
        metavar="X,Y",
        help="their places in metres (default 0,0)",
    )
    add("--tmst-start", type=int, help="the gateways' counters at start (default: by the seed, shortly before a wrap)")
    add("--keepalive-s", type=float, default=5.0, help="between two PULL_DATA of a gateway (default 5)")
    add("--stat-s", type=float, default=30.0, help="between two state reports of a gateway (default 30)")
    add("--log", metavar="FILE", help="write a JSON line for every frame and its fate; - is standard output")
    return parser


def _gateways(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> list[ForwarderConfig]:
    count = len(arguments.forwarder)
    if len(arguments.gateway_eui) > count or len(arguments.gateway_position) > count:
        parser.error(
            f"{count} --forwarder, but more --gateway-eui or --gateway-position; each gateway needs a --forwarder"
        )
    gateways = []
    for index, (host, port) in enumerate(arguments.forwarder):
        # 02: a locally administered number, of no manufacturer
        eui = (
            arguments.gateway_eui[index]
            if index < len(arguments.gateway_eui)
            else bytes((2, 0, 0, 0, 0, 0, 0, index + 1))
        )
        x_m, y_m = arguments.gateway_position[index] if index < len(arguments.gateway_position) else (0.0, 0.0)
        gateways.append(ForwarderConfig(host, port, eui, x_m, y_m, arguments.keepalive_s, arguments.stat_s))
    if len({gateway.eui for gateway in gateways}) < count:
        parser.error("two gateways have the same EUI; servers tell gateways apart by it")
    return gateways


async def _serve(arguments: argparse.Namespace, gateways: list[ForwarderConfig], journal: TextIO | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    path_loss = PathLoss(shadowing_db=arguments.shadowing_db, fading_db=arguments.fading_db)
    air = Air(Medium(arguments.seed, path_loss), round(arguments.slack_ms * 1000), journal=journal)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(open_socket(air, arguments.socket))
        for gateway in gateways:
            await stack.enter_async_context(run_forwarder(gateway, air, arguments.seed, arguments.tmst_start))
        ready = {
            "event": "ready",
            "socket": str(arguments.socket),
            "gateways": [gateway.eui.hex() for gateway in gateways],
        }
        sys.stdout.write(messages.encode(ready).decode())
        sys.stdout.flush()
        await stop.wait()


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the first line on standard output says that radios may join."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    gateways = _gateways(arguments, parser)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr)
    with contextlib.ExitStack() as stack:
        journal: TextIO | None = None
        try:
            if arguments.log == "-":
                journal = sys.stdout
            elif arguments.log:
                journal = stack.enter_context(Path(arguments.log).open("a", encoding="utf-8"))
            asyncio.run(_serve(arguments, gateways, journal))
        except (BoardsError, OSError) as error:
            sys.stderr.write(f"air: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""python -m boards.virtual: run a virtual board, make and read flash images, drive a running board."""

import argparse
import asyncio
import contextlib
import json
import logging
import re
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from boards.errors import BoardsError
from boards.virtual import control, image, scenario
from boards.virtual.air import __main__ as air_program
from boards.virtual.board import VirtualBoard
from boards.virtual.site import Site

_HEAP = re.compile(r"(\d+)([kKmM]?)")


def _heap(text: str) -> int:
    match = _HEAP.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write for example 256k")
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[match[2].lower()]


def _position(text: str) -> tuple[float, float]:
    try:
        x_m, y_m = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y in metres, for example 250,-40") from None
    return x_m, y_m


def _site(options: argparse.Namespace) -> Site | None:
    if options.air is None and options.ble_air is None:
        return None
    x_m, y_m = options.position
    return Site(options.air, options.radio_id or options.image.stem, x_m, y_m, ble=options.ble_air)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m boards.virtual", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="run one board until SIGTERM, which is the power going off")
    run.add_argument("image", type=Path)
    run.add_argument("--port", type=Path, required=True, help="serial port to make: a link to a PTY")
    run.add_argument("--control", type=Path, help="Unix socket for power cuts, noise, stimuli and state")
    run.add_argument("--board", default="virtual", help="name or file of the board (default: virtual)")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--scenario", default="street", help=f"one of {', '.join(scenario.names())} (default: street)")
    run.add_argument("--heap", type=_heap, help="memory of MicroPython, for example 256k (default: the board's)")
    run.add_argument("--air", type=Path, help="Unix socket of the virtual air that the board's radio shall be in")
    run.add_argument("--ble-air", type=Path, help="Unix socket of the virtual Bluetooth air")
    run.add_argument("--radio-id", help="the radio's name in the air (default: the image's name)")
    run.add_argument("--position", type=_position, default=(0.0, 0.0), metavar="X,Y", help="in metres (default: 0,0)")
    run.add_argument("--console-log", type=Path, metavar="FILE", help="append what the board writes to its console")
    make = verbs.add_parser("make", help="make a new flash image")
    make.add_argument("image", type=Path)
    make.add_argument("--firmware", type=Path, required=True, help="folder that becomes the board's root")
    make.add_argument("--data", type=Path, help="folder that becomes /data")
    make.add_argument("--board", default="virtual")
    read = verbs.add_parser("read", help="write a file of a powered-off image to standard output")
    read.add_argument("image", type=Path)
    read.add_argument("path")
    ls = verbs.add_parser("ls", help="list the files of a powered-off image")
    ls.add_argument("image", type=Path)
    drive = verbs.add_parser("control", help="send one command to a running board and print its state")
    drive.add_argument("socket", type=Path)
    drive.add_argument("cmd", choices=sorted(control.COMMANDS))
    drive.add_argument("arguments", nargs="*", metavar="NAME=VALUE", help="for example name=temperature_c value=-20")
    verbs.add_parser("air", add_help=False, help="run the air that boards' radios meet in: air --help")
    return parser


async def _run(options: argparse.Namespace) -> int:
    with contextlib.ExitStack() as files:
        log = files.enter_context(options.console_log.open("ab")) if options.console_log else None
        return await _run_with(options, log)


async def _run_with(options: argparse.Namespace, console_log: BinaryIO | None) -> int:
    board = VirtualBoard(
        options.image,
        options.board,
        port=options.port,
        seed=options.seed,
        scenario_name=options.scenario,
        heap_bytes=options.heap,
        site=_site(options),
        console_log=console_log,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with board:
        server = await control.serve(board, options.control) if options.control else None
        print(f"board ready: {options.port}", flush=True)
        await stop.wait()
        if server is not None:
            server.close()
            options.control.unlink(missing_ok=True)
    return 0


def _make(options: argparse.Namespace) -> int:
    data: dict[str, bytes] = {}
    if options.data is not None:
        files = [path for path in options.data.rglob("*") if path.is_file()]
        data = {f"/data/{path.relative_to(options.data)}": path.read_bytes() for path in files}
    image.make_image(options.image, options.firmware, data, options.board)
    print(f"{options.image}: {len(image.list_files(options.image, options.board))} files")
    return 0


def _read(options: argparse.Namespace) -> int:
    sys.stdout.buffer.write(image.read_file(options.image, options.path))
    return 0


def _ls(options: argparse.Namespace) -> int:
    for path, size in image.list_files(options.image).items():
        print(f"{size:8} {path}")
    return 0


def _control(options: argparse.Namespace) -> int:
    request: dict[str, object] = {"cmd": options.cmd}
    for argument in options.arguments:
        name, _, value = argument.partition("=")
        try:
            request[name] = json.loads(value)
        except ValueError:
            request[name] = value
    answer = asyncio.run(control.send(options.socket, request))
    print(json.dumps(answer, indent=2))
    return 0 if answer["ok"] else 1


def main() -> int:
    """0 done, 1 refused, 2 wrong arguments."""
    if sys.argv[1:2] == ["air"]:  # a program of its own, with its own options
        return air_program.main(sys.argv[2:])
    options = _parser().parse_args()
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.INFO)
    try:
        if options.verb == "run":
            return asyncio.run(_run(options))
        return {"make": _make, "read": _read, "ls": _ls, "control": _control}[options.verb](options)
    except (BoardsError, OSError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""amqtt as the demo's broker, for computers without mosquitto. Run as a process of its own: -m …amqtt_broker PORT."""

from __future__ import annotations

import asyncio
import signal
import sys
import warnings
from typing import Any


def _config(port: int) -> dict[str, Any]:
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }


async def _serve(port: int) -> None:
    with warnings.catch_warnings():  # it imports names that its own dependencies call deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        from amqtt.broker import Broker
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    broker = Broker(_config(port))
    await broker.start()
    try:
        await ended.wait()
    finally:
        await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

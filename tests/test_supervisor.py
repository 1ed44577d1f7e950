# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Tasks are stopped, also one that lost the word that it is to end."""

import asyncio

from gateway.supervisor import Supervisor


def test_a_task_that_loses_its_cancellation_is_told_again() -> None:
    async def body() -> int:
        lost = 0
        begun = asyncio.Event()

        async def deaf_at_first() -> None:
            nonlocal lost
            while True:
                begun.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if lost:
                        raise
                    lost += 1

        async with asyncio.TaskGroup() as group:
            tasks = Supervisor(group)
            tasks.start("deaf", deaf_at_first)
            await begun.wait()
            async with asyncio.timeout(60):
                await tasks.stop("deaf")
            assert not tasks.runs("deaf")
        return lost

    assert asyncio.run(body()) == 1

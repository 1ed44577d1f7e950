# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many boards at once: each its own job, its own row and its own end; one that fails stops no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from provisioning.errors import ProvisioningError

log = logging.getLogger(__name__)
Done = TypeVar("Done")
MAX_JOBS: Final = 16


@dataclass(frozen=True)
class Row(Generic[Done]):
    """How one board's job ended."""

    port: str
    done: Done | None
    error: ProvisioningError | None


def run(
    ports: Sequence[str],
    job: Callable[[str], Done],
    jobs: int = MAX_JOBS,
    stopping: Callable[[], object] = lambda: None,
) -> list[Row[Done]]:
    """Do a job on each port, at most *jobs* at a time; return the rows in the order of the ports.

    After a KeyboardInterrupt no job begins any more and *stopping* is called; it is raised when those at work ended.
    """
    rows: dict[str, Row[Done]] = {}
    with ThreadPoolExecutor(max_workers=max(1, min(jobs, len(ports) or 1)), thread_name_prefix="bench") as pool:
        try:
            futures = {pool.submit(job, port): port for port in ports}
            for future in as_completed(futures):
                rows[futures[future]] = _row(futures[future], future)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            stopping()
            raise
    return [rows[port] for port in ports]


def _row(port: str, future: Future[Done]) -> Row[Done]:
    error = future.exception()
    if error is None:
        return Row(port, future.result(), None)
    if isinstance(error, ProvisioningError):
        return Row(port, None, error)
    if isinstance(error, Exception):
        log.error("%s: unexpected", port, exc_info=error)
        return Row(port, None, ProvisioningError(f"Unexpected: {type(error).__name__}: {error}"))
    raise error

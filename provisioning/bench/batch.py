# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many boards at once: each its own job, its own row and its own end; one that fails stops no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
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


def run(ports: Sequence[str], job: Callable[[str], Done], jobs: int = MAX_JOBS) -> list[Row[Done]]:
    """Do a job on each port, at most *jobs* at a time; return the rows in the order of the ports."""
    rows: dict[str, Row[Done]] = {}
    with ThreadPoolExecutor(max_workers=max(1, min(jobs, len(ports) or 1)), thread_name_prefix="bench") as pool:
        futures = {pool.submit(job, port): port for port in ports}
        for future in as_completed(futures):
            port = futures[future]
            error = future.exception()
            if error is None:
                rows[port] = Row(port, future.result(), None)
            elif isinstance(error, ProvisioningError):
                rows[port] = Row(port, None, error)
            elif isinstance(error, Exception):
                log.error("%s: unexpected", port, exc_info=error)
                rows[port] = Row(port, None, ProvisioningError(f"Unexpected: {type(error).__name__}: {error}"))
            else:
                raise error
    return [rows[port] for port in ports]

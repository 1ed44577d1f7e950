# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Files for bulk use and research: JSON Lines, one file for each day (UTC), and Parquet made of them.

Every reading is in them exactly once, whenever the process is killed: ``days`` says how.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from gateway import plugins
from gateway.errors import PlatformError
from gateway.platforms._delivery import Delivery, Rejected
from gateway.platforms.files import parquet
from gateway.platforms.files.days import DayFiles
from gateway.releases.settings import ReleaseSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.platforms import Context
    from gateway.releases.release import Released

_BATCH = 1000
_LINGER_S = 0.5
"""Each batch costs some commits of the disk."""
_RETRY_MAX_S = 30.0


class Settings(plugins.PlatformSettings):
    """``[[platforms]]`` with ``type = "files"``."""

    type: Literal["files"]
    path: Annotated[str, Field(min_length=1)]
    """The folder, of which this output is the only writer; a relative one lies in the state directory."""
    parquet: bool = False
    """Also as Parquet; needs ``make extra``."""
    parquet_every_s: Annotated[float, Field(ge=1, le=86400)] = 3600.0
    """How long a day's Parquet file may be behind."""
    release: ReleaseSettings = ReleaseSettings()


class Folder:
    """The partner of a Delivery."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._stopping = False
        self._folder = (context.state_dir or context.base) / settings.path
        self._days = DayFiles(self._folder)
        self._made_at_s = float("-inf")
        if settings.parquet:
            parquet.check(settings.name)

    async def open(self) -> None:
        """See Partner."""
        await self._on_disk(self._days.open)

    async def close(self) -> None:
        """See Partner."""
        self._days.close()

    async def deliver(self, readings: Sequence[Released]) -> Sequence[Rejected]:
        """See Partner."""
        lines: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
        for reading in readings:
            day = datetime.fromtimestamp(reading.time_s, UTC).date().isoformat()
            lines[day].append((f"{reading.stream}/{reading.record}", line_of(reading)))
        await self._on_disk(lambda: self._days.append(lines))
        return ()

    async def noted(self) -> None:
        """See Partner."""
        self._days.noted()

    async def between(self) -> None:
        """See Partner."""
        now_s = asyncio.get_running_loop().time()
        if self._settings.parquet and now_s - self._made_at_s >= self._settings.parquet_every_s:
            self._made_at_s = now_s
            await self._on_disk(lambda: parquet.make(self._days, self._beat))

    async def _on_disk(self, work: Callable[[], Any]) -> None:
        """Work in a thread. Who is cancelled waits for it: the next one must not meet it in the same files."""
        thread = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            await asyncio.shield(thread)
        except asyncio.CancelledError:
            self._stopping = True
            await asyncio.wait([thread])
            raise
        except (OSError, ValueError) as error:
            raise PlatformError(f"{self._folder}: {error}") from error

    def _beat(self) -> None:
        if self._stopping:
            raise InterruptedError("the gateway stops; the file of the day will be made again")
        self._context.beat()


def line_of(reading: Released) -> bytes:
    """Return a reading as a line of JSON."""
    found: dict[str, Any] = {
        "time": datetime.fromtimestamp(reading.time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "device": reading.device,
        "kind": reading.kind,
        "seq": reading.seq,
        "stream": reading.stream,
        "record": reading.record,
        "values": {told.senml_name: told.value for told in reading.fields.values()},
        "units": {told.senml_name: told.unit for told in reading.fields.values() if told.unit},
    }
    if reading.place is not None:
        found["longitude_deg"], found["latitude_deg"] = reading.place
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def build(settings: Settings, context: Context) -> Delivery:
    """Return the platform of one ``[[platforms]]`` table."""
    partner = Folder(settings, context)
    return Delivery(
        settings.name, partner, settings.release, context, batch=_BATCH, retry_max_s=_RETRY_MAX_S, linger_s=_LINGER_S
    )

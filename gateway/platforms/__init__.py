# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Platforms take envelopes, in order, and say which ones they have. What they tell of readings passes gateway.releases.

A platform module defines ``Settings`` and ``build(settings, context) -> Platform``; it is found by its file name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from random import Random

    from gateway.operate.counters import Counters
    from gateway.outbox.feed import Feed
    from provisioning.outputs import Facts, Refusal, Wanted


class Directory(Protocol):
    """The register, as platforms ask it. Raises PlatformError when it cannot be asked."""

    async def facts(self, dev_euis: Iterable[str]) -> dict[str, Facts | None]:
        """Return what is known of devices, by DevEUI."""

    async def refusals(self, wanted: Wanted) -> Sequence[Refusal]:
        """Return why an output may not be."""


class Answer(Protocol):
    """A signed result of a command."""

    @property
    def row(self) -> int:
        """Its number, growing."""

    @property
    def topic(self) -> str:
        """``<commander>/<id>``."""

    @property
    def message(self) -> bytes:
        """What to publish."""


class Commands(Protocol):
    """Where a platform hands in commands, and fetches what is answered."""

    async def take(self, platform: str, commander: str, command_id: bytes, message: bytes) -> bool | None:
        """Take a command; False when it has to come again, None when it has to stay where it is."""

    async def answers(self, platform: str, after: int) -> Sequence[Answer]:
        """Return the next answers behind a row, at least one, sooner or later."""

    async def taken(self, rows: Sequence[int]) -> None:
        """The platform has these answers."""


@dataclass(frozen=True)
class Context:
    """What a platform may use of the gateway."""

    eui: str
    """EUI-64 of the gateway, 16 hex digits."""
    certificate_pem: bytes
    base: Path
    """Where relative paths of the settings start."""
    secret: Callable[[str], bytes]
    counters: Counters
    random: Random
    """For the jitter of retries."""
    beat: Callable[[], None] = lambda: None
    """To be called each time around the platform's loop; the watchdog waits for it."""
    state_dir: Path | None = None
    """Where a platform may keep files of its own, under its name."""
    directory: Directory | None = None
    commands: Commands | None = None
    seal: Callable[[Mapping[int, object], bytes], bytes] | None = None
    """Sign a message that is no part of the stream: headers beside issuer and time, payload. Raises CannotSign."""
    worker: int = 0
    """Which of several workers of this gateway, from 1; 0: there is one process."""

    @property
    def client_id(self) -> str:
        """What a broker knows this process by: of two under one name it closes the older connection."""
        return f"lykta-{self.eui}{f'.{self.worker}' if self.worker else ''}"

    @property
    def part(self) -> str:
        """What to add to the topic of something that each worker says of itself."""
        return f"/{self.worker}" if self.worker else ""


class Platform(Protocol):
    """What every platform does."""

    name: str
    longest_pause_s: float
    """How long it may be before it calls ``beat`` again."""

    @property
    def in_flight(self) -> int | None:
        """Envelopes sent and not yet taken; None while there is no connection."""

    async def run(self, feed: Feed) -> None:
        """Publish what *feed* gives until cancelled, whatever happens to the other side."""

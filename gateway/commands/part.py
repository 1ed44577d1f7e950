# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which part of a command is this worker's, where a gateway has several: each of them hears every command.

A worker obeys for its own devices and is silent about others; what is wrong with the whole of a command, one says. The
message stays with the broker until every worker concerned has taken it, so that one that is down finds it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from time import time
from typing import TYPE_CHECKING

from consumer.commands import MAX_LIFE_S
from gateway.network.share import of_device

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from consumer.commands import Command
    from gateway.errors import CommandRefused
    from gateway.network.share import Share

_ITS_OWN = frozenset({"busy", "no_device", "queue_full"})
"""Refusals that are one worker's; any other one is the same at all of them."""
_MAX_MARKS = 1000


class Part:
    """*folder* is the same for all workers: notes of who has taken a command of several, in empty files."""

    def __init__(self, share: Share, folder: Path | None) -> None:
        self._share = share
        self._folder = folder

    def speaks(self, digest: bytes) -> bool:
        """Tell whether this worker answers a message that nobody known signed."""
        return self._share.speaks(digest)

    def ours(self, command: Command) -> Command | None:
        """Return what of a command is this worker's; None where nothing is."""
        if self._share.count == 1:
            return command
        devices = tuple(each for each in command.devices if self._share.has(each))
        return replace(command, devices=devices) if devices else None

    def refusal(self, every: Sequence[bytes], ours: Sequence[bytes], error: CommandRefused) -> dict[str, str] | None:
        """Return what this worker leaves out of a command that others carry on with; None: refuse it as a whole.

        Nothing at all: another one says that it is refused.
        """
        if len(self._share.all_of(every)) == 1:
            return None
        if error.reason in _ITS_OWN:
            return error.left_out or {each.hex(): f"{error.reason}: {error}" for each in ours}
        return None if of_device(every[0], self._share.count) == self._share.index else {}

    def all_taken(self, every: Sequence[bytes], digest: bytes) -> bool:
        """Note that this worker has taken its part; tell whether all have. Raises OSError."""
        concerned = self._share.all_of(every)
        if len(concerned) == 1 or self._folder is None:
            return True
        self._folder.mkdir(mode=0o700, exist_ok=True)
        marks = {each: self._folder / f"{digest.hex()}.{each}" for each in concerned}
        marks[self._share.index].touch()
        self._forget()
        if not all(each.exists() for each in marks.values()):
            return False
        for each in marks.values():
            each.unlink(missing_ok=True)
        return True

    def _forget(self) -> None:
        """Drop the notes about commands that have ended, when they are many."""
        if self._folder is None or len(found := list(self._folder.iterdir())) < _MAX_MARKS:
            return
        for each in found:
            with suppress(OSError):  # another worker did
                if time() - each.stat().st_mtime > MAX_LIFE_S:
                    each.unlink()

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a person, a cable and a board: one type for each cause, so that each has its own advice."""

from __future__ import annotations

from provisioning.errors import BoardError


class BenchError(BoardError):
    """Root of what the bench refuses. `retry`: doing the same again, perhaps after plugging in anew, may help."""

    retry = False


class NoSuchPort(BenchError):
    """There is no serial port of that name, or none at all."""

    retry = True


class AmbiguousPort(BenchError):
    """More than one board could be meant."""


class PortBusy(BenchError):
    """Another program has the port open."""

    retry = True


class PortDenied(BenchError):
    """This user may not open the port."""


class CableLost(BenchError):
    """The port went away while it was in use."""

    retry = True


class NoPrompt(BenchError):
    """The board does not give its MicroPython prompt. `seen` is what it said instead."""

    retry = True

    def __init__(self, state: str, seen: bytes = b"", *, reason: str = "", next_step: str = "") -> None:
        super().__init__(state, value=_shown(seen), reason=reason, next_step=next_step)
        self.seen = seen


class BoardSilent(BenchError):
    """The board stopped answering in the middle."""

    retry = True


class BoardRaised(BenchError):
    """A piece of the bench's own code failed on the board. `trace` is MicroPython's."""

    def __init__(self, trace: str) -> None:
        self.trace = trace.strip()
        super().__init__(
            "The board could not do what the bench asked.",
            value=self.trace.splitlines()[-1] if self.trace else "no message",
            next_step="lykta doctor PORT looks for the reason; lykta --debug shows where on the board it failed",
        )


class WrongBoard(BenchError):
    """The board is not the one, or not of the kind, that was asked for."""


class WrongBytecode(BenchError):
    """The board's MicroPython cannot load what mpy-cross writes."""


class Shadowed(BenchError):
    """A file on the board would be loaded in the place of the firmware."""


class DamagedTransfer(BenchError):
    """What the board has is not what was sent."""

    retry = True


class NoRoom(BenchError):
    """The board's file system is too small or too full."""


class ProofFailed(BenchError):
    """The board did not show what it has to before it may leave the bench."""

    retry = True


class WrongPlan(BenchError):
    """The file of a batch contradicts itself, or says something that nobody understands."""


class NoGateway(BenchError):
    """The gateway that is to hear a board does not run, or may not be asked."""


class NotConfirmed(BenchError):
    """An irreversible step was not confirmed with its word."""


class NoImage(BenchError):
    """There is no image to flash, or it is not the one that it should be."""


class FlashFailed(BenchError):
    """MicroPython itself could not be written to the board."""

    retry = True


def _shown(seen: bytes) -> str | None:
    if not seen:
        return None
    text = seen.decode("ascii", "backslashreplace").replace("\r", "").strip()
    return repr(text[-160:])

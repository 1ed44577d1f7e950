# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a test of an interface is told and what it writes down: its target, its steps, and why one failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from provisioning.broker_access import Access

MAX_TOLD_CHARS: Final = 300
Outcome = Literal["passed", "failed", "absent"]


class StepFailed(ProvisioningError, ConnectionError):
    """A platform does not do what its published interface says."""


@dataclass(frozen=True)
class Target:
    """What is tested, and how to get in. `timeout_s` is for each request or answer."""

    platform_id: str
    url: str
    access: Access
    token: str | None = None
    timeout_s: float = 10.0
    write: bool = False
    """Whether a test may create and delete something of its own on the platform."""
    topic: str | None = None
    """Of the test message over MQTT; none: one of its own below lykta/test."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be printed, not even where the platform repeats it."""
        return tuple(each for each in (self.token, self.access.password) if each)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried. The last three say more only where it failed."""

    name: str
    outcome: Outcome
    found: str = ""
    state: str = ""
    reason: str = ""
    next_step: str = ""


@dataclass
class Note:
    """What a step that passed found."""

    text: str = ""


@dataclass
class Minutes:
    """The steps in their order."""

    target: Target
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Note]:
        """A step: it passes unless StepFailed comes out of it, which is written down and goes on."""
        note = Note()
        try:
            yield note
        except StepFailed as error:
            found = self._shown("" if error.value is None else str(error.value))
            self.steps.append(Step(name, "failed", found, self._shown(error.state), error.reason, error.next_step))
            raise
        self.steps.append(Step(name, "passed", self._shown(note.text)))

    def absent(self, name: str, found: str) -> None:
        """Write down what the platform does not have and need not have."""
        self.steps.append(Step(name, "absent", self._shown(found)))

    def _shown(self, text: str) -> str:
        for secret in self.target.secrets:
            text = text.replace(secret, "…")
        printable = "".join(each if each.isprintable() else "·" for each in text)
        return printable if len(printable) <= MAX_TOLD_CHARS else f"{printable[:MAX_TOLD_CHARS]}…"

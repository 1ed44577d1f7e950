# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who may command which devices to do what: control rooms, platforms and people, each with a key of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from provisioning.model.base import MAX_ITEMS, Day, Model, Moment, OrgId, Text

EVERYTHING: Final = "*"
Verb = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z_.]{0,40})$")]


class Commander(Model):
    """A key that gateways obey, as far as this says. `id` is the issuer of its commands, and part of their topic."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    name: Text
    org: OrgId
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Ed25519, 32 bytes in hexadecimal digits."""
    owners: Annotated[tuple[OrgId, ...], Field(max_length=MAX_ITEMS)] = ()
    """Whose devices it may command; none: those of its own organisation."""
    all_owners: bool = False
    """Also devices that nobody owns yet, such as those on a bench."""
    verbs: Annotated[tuple[Verb, ...], Field(min_length=1, max_length=MAX_ITEMS)]
    """What it may order: `dim`, `settings.set` …; `*` is everything."""
    valid_from: Day
    valid_to: Day
    revoked_at: Moment | None = None

    def may_sign(self, moment: datetime) -> bool:
        """Return whether a command that comes at `moment` counts."""
        in_time = self.valid_from <= moment.date() <= self.valid_to
        return in_time and (self.revoked_at is None or moment < self.revoked_at)

    def may_order(self, verb: str, owner: str | None) -> bool:
        """Return whether it may order this from a device of this owner."""
        if EVERYTHING not in self.verbs and verb not in self.verbs:
            return False
        return self.all_owners or owner in (self.owners or (self.org,))

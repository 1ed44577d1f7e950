# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who there is: the city's boards and companies, and the people who may decide for them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from provisioning.model.base import Day, Model, Moment, OrgId, Reference, Text

OrganisationKind = Literal["namnd", "bolag", "external"]
"""A board of the city, a company of the city, somebody else. Only the first two may own devices."""

RoleId = Literal["ks", "slk", "owner", "info_owner", "stekom", "stokab", "dpo", "ciso", "council", "opendata"]
"""Who decides (guidelines 0.4)."""


class Organisation(Model):
    id: OrgId
    name: Text
    kind: OrganisationKind
    active: bool = True
    contact: Text | None = None
    """A function's mailbox."""


class RoleHolder(Model):
    """A person in a role, with the public key that she signs with. `id` is the key id of her signatures."""

    id: Reference
    name: Text
    role: RoleId
    org: OrgId
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Ed25519, 32 bytes in hexadecimal digits."""
    delegation_ref: Reference | None = None
    """The decision that lets her act for somebody else, for instance an officer for kommunstyrelsen."""
    valid_from: Day
    valid_to: Day
    revoked_at: Moment | None = None

    def may_sign(self, moment: datetime) -> bool:
        """Return whether a signature made at `moment` counts."""
        in_time = self.valid_from <= moment.date() <= self.valid_to
        return in_time and (self.revoked_at is None or moment < self.revoked_at)

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a person should know of a board before it hangs on a pole, and what of it can be checked."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ERP_LIMIT_DBM = 14.0
"""25 mW ERP, EU868 (ERC/REC 70-03 annex 1 h1.4 to h1.6)."""
DIPOLE_DBI = 2.15
HEAP_NEEDED_BYTES = {"street_light": 148_480, "waste_bin": 151_552, "traffic": 148_480}
"""Of 32-bit words, with a LoRa radio, code included: in so much `make cortexm-test` runs each role."""
FROZEN_NEEDED_BYTES = {"street_light": 73_728, "waste_bin": 73_728, "traffic": 73_728}
"""The same with all code in flash, by `make cortexm-frozen`: what a node makes while it runs."""

Fit = Literal["heap", "frozen", "no"]


class Roles(BaseModel):
    """How a role gets onto the board: from files into the heap, frozen into the interpreter, or not at all."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    street_light: Fit
    waste_bin: Fit
    traffic: Fit


class FactsTable(BaseModel):
    """Facts of a real board, with where they are from."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    micropython_board: str
    """Name of the build among MicroPython's releases."""
    micropython_minimum: str = Field(pattern=r"^\d+\.\d+(\.\d+)?$")
    ram_bytes: int = Field(ge=16_384)
    flash_method: str
    secure_storage: str
    brown_out: str
    antenna: str
    antenna_gain_dbi: float = Field(ge=-10, le=15)
    max_tx_dbm: int = Field(ge=-17, le=22)
    """What the firmware is allowed to ask the radio for."""
    roles: Roles
    default_role: Literal["street_light", "waste_bin", "traffic"] | None = None
    remarks: list[str] = []
    sources: list[str] = Field(min_length=2)


def problems(facts: FactsTable | None, heap_bytes: int) -> list[str]:
    """What contradicts itself: power above the limit, a role that does not fit."""
    if facts is None:
        return []
    found = []
    erp_dbm = facts.max_tx_dbm + facts.antenna_gain_dbi - DIPOLE_DBI
    if erp_dbm > ERP_LIMIT_DBM:
        found.append(
            f"facts.max_tx_dbm = {facts.max_tx_dbm} with an antenna of {facts.antenna_gain_dbi} dBi is "
            f"{erp_dbm:.1f} dBm ERP; EU868 allows {ERP_LIMIT_DBM:.0f}"
        )
    for role, fit in facts.roles:
        needed = {"heap": HEAP_NEEDED_BYTES, "frozen": FROZEN_NEEDED_BYTES}.get(fit, {}).get(role, 0)
        if heap_bytes < needed:
            other = "'no'" if fit == "frozen" else "'frozen' or 'no'"
            found.append(
                f"facts.roles.{role} = '{fit}': it needs {needed} bytes and the board has {heap_bytes}; say {other}"
            )
    if facts.default_role is not None and getattr(facts.roles, facts.default_role) == "no":
        found.append(f"facts.default_role = {facts.default_role!r}, but facts.roles says that it does not fit")
    return found


def refusal(name: str, facts: FactsTable | None, role: str) -> str | None:
    """Why firmware for *role* cannot be made for a board from files; None when it can."""
    fit = "heap" if facts is None else getattr(facts.roles, role, "heap")
    if facts is None or fit == "heap":
        return None
    if fit == "frozen":
        return (
            f"{name} has {facts.ram_bytes // 1024} KB of RAM: the code of a {role} fits only when it is frozen into "
            "the interpreter or lies in ROMFS"
        )
    return (
        f"{name} cannot be a {role}: {facts.ram_bytes // 1024} KB of RAM are too few, wherever its code lies; what it "
        f"makes while it runs needs a heap of {FROZEN_NEEDED_BYTES[role] // 1024} KB"
    )

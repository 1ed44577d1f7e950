# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is said when the register's database does not do what it is asked, whoever asks it and by which driver."""

from __future__ import annotations

from typing import Final

from provisioning.errors import RegisterError

BUSY_TIMEOUT_MS = 10_000
"""How long one waits for another process that writes."""
NOT_GRANTED: Final = "42501"
"""insufficient_privilege, PostgreSQL's Appendix A."""
_MEND: Final = {
    "sqlite": "check that the file exists, is writable and that its disk is not full; then try again",
    "postgresql": "check the network and the server; lykta check RECORD --snapshot FILE judges without them",
}


def no_address() -> RegisterError:
    """The URL may hold a password: it is not shown."""
    return RegisterError(
        "The address of the register is not a database URL.",
        next_step='write for example url = "sqlite:///register.db"',
    )


def no_file(url: str) -> RegisterError:
    """A database in memory."""
    return RegisterError("The register must be a file: other processes read it too.", value=url)


def unknown_kind(why: object, where: str) -> RegisterError:
    """A database without a driver."""
    return RegisterError(
        f"This kind of database cannot be used: {why}",
        value=where,
        next_step="use sqlite:///…; for postgresql://… run once: make extra",
    )


def unusable(error: object, where: str, backend: str) -> RegisterError:
    """It is away, locked, full or not writable."""
    return RegisterError(
        f"The register cannot be used: {error}.",
        value=where,
        next_step=_MEND.get(backend, _MEND["postgresql"]),
    )


def not_granted(error: object, where: str) -> RegisterError:
    """The user may not do that."""
    return RegisterError(
        f"The register does not let this user do that: {str(error).strip()}.",
        value=where,
        next_step="grant what docs/register.md lists under Databases",
    )


def unreadable(error: Exception, where: str, why: object = None) -> RegisterError:
    """It is damaged, or no register."""
    return RegisterError(
        f"The register cannot be read: {type(error).__name__}.",
        value=where,
        reason=str(why or error),
        next_step="restore it from a backup",
    )

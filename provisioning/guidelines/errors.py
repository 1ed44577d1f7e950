# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the guidelines refuse before any rule is asked."""

from __future__ import annotations

from provisioning.errors import ProvisioningError


class PackError(ProvisioningError, ValueError):
    """A rule pack cannot be read, or does not fit this program. Nothing is evaluated with it: the rules fail closed."""


class RuleError(ProvisioningError, ValueError):
    """A rule's file, or its texts, are not complete."""


class UnknownRule(ProvisioningError, LookupError):
    """No rule has this id."""

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A vendor's sensor has no fields of its own here: its decoder gives names and units with each reading."""

from firmware.wire.kinds.terms import Term

TERMS: dict[str, Term] = {}

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""JSON in one spelling, so that equal things have equal hashes and signatures."""

from __future__ import annotations

import json


def canonical(value: object) -> str:
    """JSON in one spelling: keys sorted, no spaces, letters as they are."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)

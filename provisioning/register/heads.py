# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The end of the log as people keep it elsewhere, and whether the register is what its log says."""

from __future__ import annotations

import json
import re

from sqlalchemy import Connection, select

from provisioning.errors import ConfigError, LogBroken
from provisioning.register import tables
from provisioning.register.log import Head
from provisioning.register.spelling import canonical


def text(head: Head) -> str:
    """Number and hash as one word."""
    return f"{head.seq}:{head.sha256.hex()}"


def parse(word: str) -> Head:
    """The head that `text` wrote. Raises ConfigError."""
    match = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", word.strip().lower())
    if match is None:
        raise ConfigError(
            "This is not the number and hash of an entry.", value=word[:80], next_step="lykta log head prints one"
        )
    return Head(int(match[1]), bytes.fromhex(match[2]))


def check_records(connection: Connection) -> None:
    """Compare every device with the entry of its last change. Raises LogBroken for the first that differs."""
    devices, entries = tables.devices, tables.log
    query = (
        select(devices.c.id, devices.c.record, devices.c.revision, entries.c.subject, entries.c.body)
        .outerjoin(entries, entries.c.seq == devices.c.revision)
        .order_by(devices.c.id)
        .execution_options(yield_per=1000)
    )
    with connection.execute(query) as rows:
        for row in rows:
            said = None if row.body is None else json.loads(row.body).get("record")
            if row.subject != row.id or said is None or canonical(said) != row.record:
                raise LogBroken(
                    f"{row.id} is not as its last entry in the log says.",
                    value=f"{row.id}, entry {row.revision}",
                    reason="Somebody changed the register behind the log's back.",
                    next_step=f"lykta log show {row.id} --json shows what it should be",
                )

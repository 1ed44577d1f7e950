# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the opening of a port tells: one that comes late, under another name, or works only when it is opened again.

A person's next tool may not be as patient, so each is said; none of them keeps the board from working.
"""

from __future__ import annotations

import re
from pathlib import Path

from provisioning.bench.finding import Finding
from provisioning.bench.line import Line


def names_like(port: str) -> set[str]:
    """The ports that differ from this one by their number, as /dev/ttyACM1 from /dev/ttyACM0."""
    path = Path(port)
    stem = path.name.rstrip("0123456789")
    if stem == path.name:
        return set()  # a name that stays, as those in /dev/serial/by-id
    try:
        names = [each.name for each in path.parent.iterdir()]
    except OSError:
        return set()
    return {str(path.parent / name) for name in names if re.fullmatch(re.escape(stem) + r"\d+", name)} - {port}


def of(line: Line) -> list[Finding]:
    """What a line that is open says of its opening."""
    found = []
    if line.late_s:
        found.append(
            Finding(
                "late_port",
                "warning",
                "The port was not there at first; it came while it was waited for.",
                "It was just plugged in, or was reset and enumerates anew; a tool that does not wait finds no port.",
                "wait for its name in lykta ports before another tool is started; Lykta's own commands wait",
                f"{line.port} came {line.late_s:.1f} s after it was asked for",
            )
        )
    if line.lost_openings:
        failed = len(line.lost_openings)
        found.append(opened_twice(f"opening {failed} ended with '{line.lost_openings[-1]}', opening {failed + 1} held"))
    return found


def opened_twice(evidence: str) -> Finding:
    """Of a port whose first opening fails, or gives nothing."""
    return Finding(
        "opened_twice",
        "warning",
        "The port works only when it is opened again.",
        "The first opening makes the board reset or enumerate anew; a tool that opens once fails, or hears nothing.",
        "open it twice with other tools, or put another cable or hub between; Lykta's own commands open it again",
        evidence,
    )


def came_instead(port: str, before: set[str]) -> list[Finding]:
    """The ports that came while this one was waited for in vain. *before*: those that were there already."""
    return [
        Finding(
            "other_name",
            "warning",
            "Another port came while this one was waited for.",
            "A board that enumerates anew while a program holds its old name gets the next number.",
            f"lykta doctor {name}, if it is the same board; its name in /dev/serial/by-id stays",
            f"{name} came, {port} did not",
        )
        for name in sorted(names_like(port) - before)
    ]

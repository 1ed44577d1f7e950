# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Tables that begin with a port: a person copies it, so it stays in one piece on a terminal of any width."""

import pytest

from tests.terminal import ROOT, shown

PORTS = ["/dev/lykta-rehearsal-t9u2_h0k/board1.port", "/dev/lykta-rehearsal-t9u2_h0k/board2.port"]
BOARDS = "virtual, virtual_ble and 6 more"
SCRIPT = f"""
from provisioning.cli.output import say_table
rows = [[port, "", "", "micropython", "1.29.0", {BOARDS!r}, ""] for port in {PORTS!r}]
say_table(["port", "usb", "serial number", "answers", "MicroPython", "board", "remark"], rows, ports=True)
"""


def table(width: int) -> list[str]:
    """The lines of a terminal so wide."""
    return [line.rstrip() for line in shown(["-c", SCRIPT], ROOT, width).splitlines()]


@pytest.mark.parametrize("width", [40, 60, 74, 80, 100, 120, 200])
def test_a_port_stays_in_one_piece_and_nothing_is_lost(width: int) -> None:
    lines = table(width)
    assert all(len(line) <= max(width, len(PORTS[0])) for line in lines), lines
    for port in PORTS:
        assert sum(line.startswith(port) for line in lines) == 1, lines
    words = " ".join(lines).replace(",", " ").split()
    for word in ("virtual", "virtual_ble", "6", "more", "micropython", "1.29.0"):
        assert words.count(word) == 2, (word, lines)
    assert "serial" not in words, "a column with nothing in it"


def test_at_120_columns_each_board_has_one_line() -> None:
    assert len(table(120)) == 3


def test_for_a_program_every_column_stays(capsys: pytest.CaptureFixture[str]) -> None:
    exec(SCRIPT)  # noqa: S102  the same as on the terminals
    heads, *rows = capsys.readouterr().out.splitlines()
    assert "serial number" in heads and "remark" in heads
    assert len(rows) == 2

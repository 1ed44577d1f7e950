# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""docs/requirements.md names no rule, command or test that is not there, and leaves no requirement and no rule out."""

import json
import re
from pathlib import Path

import typer

from provisioning.cli.app import app
from provisioning.guidelines.pack import proposed

ROOT = Path(__file__).resolve().parent.parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| R-")
]


def _rules(text: str) -> set[str]:
    return set(re.findall(r"\b[A-Z]{2,5}-\d{1,2}b?\b", text))


def test_every_requirement_stands_there_once() -> None:
    assert [row[0] for row in ROWS] == [f"R-{number:02}" for number in range(1, 65)]
    assert all(len(row) == 4 and all(row) for row in ROWS)


def test_every_rule_answers_a_requirement() -> None:
    named = set().union(*(_rules(row[2]) for row in ROWS))
    assert named - set(proposed().rules) == set()
    assert (
        set(proposed().rules) - named - {"LIFE-6", "LIFE-7"} == set()
    )  # about what stands, asked by the guidelines alone


def test_every_command_and_every_test_exists() -> None:
    click = typer.main.get_command(app)
    commands = {name: set(getattr(each, "commands", {})) for name, each in getattr(click, "commands", {}).items()}
    defined = set()
    for path in (ROOT / "tests").glob("test_*.py"):
        defined |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.M))
    cases = [
        each["name"]
        for file in ("golden", "groups")
        for each in json.loads((ROOT / "tests/vectors/guidelines" / f"{file}.json").read_text(encoding="utf-8"))[
            "cases"
        ]
    ]
    for row in ROWS:
        for line in re.findall(r"`lykta ([^`]+)`", row[2]):
            words = line.split()
            assert words[0] in commands, row
            assert not commands[words[0]] or words[1] in commands[words[0]], row
        tests = re.findall(r"`(test_\w+)`", row[3])
        assert set(tests) <= defined, row
        for name in re.findall(r'the case "([^"]+)"', row[3]):
            assert name in cases, row
        by_cases = re.search(r"the rules?'s? cases|the rules' cases", row[3])
        assert tests or by_cases or "the case" in row[3], row
        assert not by_cases or _rules(row[2]), row

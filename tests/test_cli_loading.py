# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta` loads what its command needs, and knows all of them without loading any."""

import re
import subprocess
import sys

import pytest

from provisioning.cli import main
from provisioning.cli.table import COMMANDS, SECTIONS, Commands


def loaded_by(*arguments: str) -> set[str]:
    """Our modules that a call of `lykta` has loaded."""
    called = f"from provisioning.cli import main; main({list(arguments)!r})"
    code = f"import sys; {called}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stderr.split())


def test_a_command_loads_its_own_module_and_no_database() -> None:
    loaded = loaded_by("boards", "--help")
    own = {f"provisioning.cli.{module}" for module in _modules()}
    assert loaded & own == {"provisioning.cli.boards"}
    assert "sqlalchemy" not in loaded


def _modules() -> set[str]:
    return {place.partition(":")[0] for place in COMMANDS.values()}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_where_the_table_says_and_has_help(name: str) -> None:
    command = Commands()[name]
    assert command.name == name
    assert command.get_short_help_str()


def test_help_lists_every_command_once_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    listed = re.findall(r"(?m)^  ([a-z]+)  ", said.partition("Without hardware:")[2])
    assert sorted(listed) == sorted(COMMANDS)
    assert re.search(r"(?m)[a-z]\.\.\.$", said) is None, "each says what it is for, to its end"


def test_a_misspelt_command_is_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xregister"]) == 64
    assert "Did you mean 'register'" in capsys.readouterr().err

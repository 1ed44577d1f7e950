# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""docs/a-batch-of-bins.md, run command by command: what it shows is what comes."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "a-batch-of-bins.md"


def _steps() -> list[tuple[str, list[str], int]]:
    """Each command with the lines shown below it and its exit code."""
    steps = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            code = int(shown.pop()[1:-1]) if shown and re.fullmatch(r"\[\d+\]", shown[-1]) else 0
            steps.append((command, [line for line in shown if line != "…"], code))
    return steps


@pytest.mark.timeout(300)
def test_the_way_of_155_bins_is_as_the_page_tells_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    known = {"PUBLIC-KEY": "PUBLIC-KEY", "OTHER": "OTHER"}
    steps = _steps()
    assert len(steps) >= 20

    def run(command: str, code: int) -> str:
        program, *words = [known.get(word, word) for word in shlex.split(command)]
        if program == "lykta":  # its command line, in this process: starting one takes longer than what it does
            found = main(words)
        else:
            found = subprocess.run([sys.executable, *words], timeout=100, check=False).returncode
        told = capsys.readouterr()
        assert found == code, f"{command}\n{told.out[-3000:]}\n{told.err[-3000:]}"
        return told.out

    for command, shown, code in steps:
        if command.startswith("lykta -C city dialogue"):
            dialogue = tmp_path / "dialogue.toml"
            dialogue.write_text(dialogue.read_text(encoding="utf-8").replace("OTHER", known["OTHER"]), encoding="utf-8")
        told = run(command, code)
        if command.startswith("lykta role key"):
            known["PUBLIC-KEY"] = told.strip()
        found = re.search(r"^ +([A-Z]{3}-\d{4,6})  0 m  stockholm-vatten-och-avfall", told, re.M)
        if found:
            known["OTHER"] = found[1]
        lines = told.splitlines()
        for line in shown:
            assert known.get(line, line) in lines, f"{command}\n{told[:3000]}"
    listed = json.loads(run("lykta -C city list --batch RINKEBY-2026 --json", 0))
    assert len(listed) == 155
    assert {each["stage"] for each in listed} == {"approved"}
    assert len({each["dev_eui"] for each in listed}) == 155

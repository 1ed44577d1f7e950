# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One target under atheris: `python -m tests.fuzz.guided TARGET CORPUS [options of libFuzzer]`, as run.py starts it."""

import logging
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway", "firmware.wire", "paho"]):
    from tests.fuzz import targets

if __name__ == "__main__":
    logging.disable()
    with tempfile.TemporaryDirectory(dir=targets.MEMORY) as folder:
        target = targets.Gateway(Path(folder)).target(sys.argv[1])
        atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
        atheris.Fuzz()

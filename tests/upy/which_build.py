# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which slot the flash of a board boots into, and the SHA-256 of all that lies in it.

micropython tests/upy/which_build.py IMAGE
"""

import hashlib
import os
import sys

from firmware.node import update_stage as stage
from firmware.node import update_trial as trial
from tests.upy.node_world import RamFlash, mount

ROOT = "/flash"


def content(path):
    with open(path, "rb") as file:
        return file.read()


def boots_into():
    """What /main.py does, but that the token of a trial stays."""
    slot, _, on_trial = trial.launcher(ROOT)
    if on_trial and "trial" not in os.listdir(ROOT):
        return content(ROOT + "/main.py").split(b"\n")[0].split(b"else ")[1][:1].decode()
    return slot


flash = RamFlash(content=bytearray(content(sys.argv[1])))
mount(flash, False, ROOT, "/data")
runs = boots_into()
print(runs)
if runs + ".lyk" in os.listdir(ROOT):
    print(".lyk", hashlib.sha256(content(ROOT + "/" + runs + ".lyk")).digest().hex())
for path in stage._walk(ROOT + "/" + runs, ""):
    print(path, hashlib.sha256(content(ROOT + "/" + runs + "/" + path)).digest().hex())

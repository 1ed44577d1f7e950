# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a board refuses: each offer of a folder is given to its desk, and what it says of it is printed.

micropython tests/upy/update_offer.py FOLDER COUNTER OFFER...      prints a problem's number for each, then "ok"
"""

import asyncio
import os
import sys

from firmware.node import update_desk as desk
from firmware.node import update_stage as stage
from firmware.node.files import Files
from firmware.node.store import Slots
from firmware.wire import cbor, update


async def breathe():
    pass


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    folder, counter, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    files = Files(folder + "/data")
    if Slots(files, "vendor").fresh:
        Slots(files, "vendor").write(cbor.dumps([read(folder + "/vendor")]))
        os.mkdir(folder + "/a")
    with open(folder + "/a/manifest", "wb") as file:
        file.write(read(folder + "/old.manifest"))
    record = stage.Record(files)
    record.counter = counter
    record.save()
    for name in names:
        signed = read(folder + "/" + name)
        at = desk.Desk(files, breathe, folder, "a")
        (told,) = asyncio.run(at.take(update.offer(0, len(signed), signed)))
        told = update.status(told)
        assert len(cbor.dumps(told)) <= 46
        good = told[update.S_PROBLEM] == 0
        assert (files.read(stage.OFFER) == signed) == good, "only a good offer is kept"
        assert (told[update.S_PHASE] == update.RECEIVING) == good
        assert at.idle() != good
        print(told[update.S_PROBLEM])
        asyncio.run(at.take(bytes([update.ABORT])))
        assert files.read(stage.OFFER) is None
    print("ok")


main()

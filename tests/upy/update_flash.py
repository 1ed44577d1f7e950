# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A signed update on the real littlefs: the power goes at every single flash operation, one after the other.

micropython tests/upy/update_flash.py FOLDER STEP tree|file      each STEP-th operation; prints how many cuts, then "ok"
micropython tests/upy/update_flash.py FOLDER 0 tree|file         such a release is refused; prints "ok"

What runs before lies in slot a as a tree, as it comes by cable, or as a file, as an update leaves it.
FOLDER has ``offer``, ``bundle``, ``vendor`` and ``old.<path>`` files of the build that runs. After each cut the board
boots into the complete old build or the complete new one, and the update goes on to its end.
"""

import asyncio
import gc
import hashlib
import os
import sys

import vfs

from firmware.node import update_desk as desk
from firmware.node import update_stage as stage
from firmware.node import update_trial as trial
from firmware.node.store import Slots
from firmware.wire import cbor, update
from tests.upy.node_world import RamFlash, folders, mount

POWER_ON, BUTTON, WATCHDOG = 1, 2, 3
BLOCKS = 64
BLOCK_BYTES = 700
ROOT = "/flash"
SHOWN = "/shown"
FOLDER, STEP, FORM = sys.argv[1], int(sys.argv[2]), sys.argv[3]


class Mounts:
    """The module by which a launcher mounts a slot: here beside the flash, of which MicroPython looks at no part."""

    def mount(self, shown, where):
        assert where in (ROOT + "/a", ROOT + "/b"), where
        vfs.mount(shown, SHOWN)
        sys.path.insert(0, SHOWN)


class Machine:
    """What a launcher asks of the module."""

    PWRON_RESET = POWER_ON

    def __init__(self, cause):
        self._cause = cause

    def reset_cause(self):
        return self._cause


def read(name):
    with open(FOLDER + "/" + name, "rb") as file:
        return file.read()


OFFER, BUNDLE, VENDOR, WHOLE = read("offer"), read("bundle"), read("vendor"), read("slot.b")
OLD = {name[4:].replace("!", "/"): read(name) for name in os.listdir(FOLDER) if name.startswith("old.")}
SESSION = hashlib.sha256(OFFER).digest()[:2]


def on_flash(flash, form=False):
    return mount(flash, form, ROOT, "/data")


async def breathe():
    pass


def fresh(flash):
    files = on_flash(flash, True)
    for path, data in OLD.items():
        if FORM == "file" and path != "/boot.py":
            continue
        where = ROOT + path if path[0] == "/" else ROOT + "/a/" + path
        folders(where)
        with open(where, "wb") as file:
            file.write(data)
    if FORM == "file":
        for name, path in (("slot.a", "/a.lyk"), ("main.a", "/main.py")):
            with open(ROOT + path, "wb") as file:
                file.write(read(name))
    Slots(files, "vendor").write(cbor.dumps([VENDOR]))
    return files


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def boots_into(cause):
    """Let the flash's own /main.py decide which slot runs at this start, for which there was such a cause."""
    sys.modules["machine"], sys.modules["vfs"] = Machine(cause), Mounts()
    code = content(ROOT + "/main.py").decode()
    before = list(sys.path)
    try:
        exec(code.replace('"/', '"%s/' % ROOT), {"open": open})
        return sys.path[0][-1:]
    finally:
        if SHOWN in sys.path:
            shown = [os.stat(SHOWN + path)[0] for path in ("/firmware", "/firmware/node", "/firmware/node/changed.mpy")]
            assert shown == [0x4000, 0x4000, 0x8000]
            vfs.umount(SHOWN)
        sys.path[:] = before
        sys.modules.pop("lykta_main", None)


def expect_whole(files, slot):
    """The slot holds one complete build."""
    if slot == "a" and FORM == "file":
        assert content(ROOT + "/a.lyk") == read("slot.a")
        return
    if slot == "a":
        for path, data in OLD.items():
            if path[0] != "/":
                assert content(ROOT + "/a/" + path) == data, path
        return
    assert content(ROOT + "/b.lyk") == WHOLE
    assert content(ROOT + "/b/manifest") is None
    for path, digest in NEW.items():
        if path[0] != "/":
            with stage.opened(ROOT, "b", path) as file:
                assert hashlib.sha256(file.read(SIZES[path])).digest() == digest, path


async def send(files, runs):
    """What a gateway does: ask, then offer, blocks from where the board is, install. Returns the last status."""
    at = desk.Desk(files, breathe, ROOT, runs)
    (told,) = await at.take(bytes([update.ASK]))
    told = update.status(told)
    if told[update.S_SESSION] != SESSION:
        half = len(OFFER) // 2
        assert await at.take(update.offer(0, len(OFFER), OFFER[:half])) == []
        (told,) = await at.take(update.offer(half, len(OFFER), OFFER[half:]))
        told = update.status(told)
    have = told[update.S_HAVE]
    while told[update.S_PROBLEM] == 0 and have < len(BUNDLE):
        answer = await at.take(update.block(SESSION, have, BUNDLE[have : have + BLOCK_BYTES]))
        have += BLOCK_BYTES
        if answer:
            told = update.status(answer[0])
            have = told[update.S_HAVE]
    if told[update.S_PROBLEM] == 0 and told[update.S_PHASE] == update.COMPLETE:
        (told,) = await at.take(update.install(SESSION), 2)
        told = update.status(told)
    return told


def life(files, healthy, flash, cause):
    """Boot, update, restart, and be well or not; until it is settled. Returns what runs."""
    for _ in range(4):
        runs = boots_into(cause)
        cause = BUTTON  # the restart that follows an installation
        expect_whole(files, runs)
        begun = trial.begin(files, ROOT, runs)
        if flash.cut is not None and flash.writes > flash.cut:
            raise OSError(5)
        if begun is not None:
            assert begun == (900, 2) and runs == "b"
            if not healthy:
                cause = WATCHDOG
                continue
            trial.confirm(files, ROOT)
            return "b"
        record = stage.Record(files)
        if record.phase in (update.CONFIRMED, update.ROLLED_BACK):
            return runs
        told = asyncio.run(send(files, runs))
        assert told[update.S_PROBLEM] in (0, update.FLASH), told
        if told[update.S_PROBLEM]:
            raise OSError(5)
    raise AssertionError("never settled")


def erased(flash):
    for i in range(0, len(flash.content), 4096):
        flash.content[i : i + 4096] = b"\xff" * 4096
    flash.cut = None
    return flash


def one(flash, cut, healthy):
    """Return whether the cut came after the end."""
    files = fresh(erased(flash))
    flash.writes = 0
    flash.cut = cut
    try:
        life(files, healthy, flash, POWER_ON)
    except OSError:
        pass
    through = flash.writes <= cut
    flash.cut = None
    files = on_flash(flash)
    settled = life(files, healthy, flash, POWER_ON)
    expect_whole(files, settled)
    record = stage.Record(files)
    if healthy:  # a trial that the power ended is no proof: it is tried again
        assert (settled, record.phase, record.counter) == ("b", update.CONFIRMED, 7), (cut, settled, record.phase)
        assert trial.launcher(ROOT)[2] is False
        assert content(ROOT + "/boot.py") == b"# new boot\n"
    else:
        assert (settled, record.phase, record.counter) == ("a", update.ROLLED_BACK, 0)
    assert content(ROOT + "/trial") is None
    assert stage.have(files) == 0, (cut, healthy, record.phase)
    return through


def after(*causes):
    """Which slots run at the starts after an installation, for these causes; the last is settled by the old build."""
    files = fresh(erased(FLASH))
    assert asyncio.run(send(files, "a"))[update.S_PHASE] == update.TRIAL
    runs = [boots_into(cause) for cause in causes]
    assert trial.begin(files, ROOT, runs[-1]) is None or runs[-1] == "b"
    assert runs[-1] == "b" or stage.Record(files).phase == update.ROLLED_BACK
    return "".join(runs)


def tries():
    """A trial that only the power ended is tried again, not for ever; anything else ends it, whatever comes then."""
    assert after(BUTTON, POWER_ON, POWER_ON, POWER_ON, POWER_ON) == "bbbaa"
    assert after(POWER_ON, POWER_ON, WATCHDOG, POWER_ON) == "bbaa"
    assert after(BUTTON, BUTTON, POWER_ON) == "baa"
    assert after(BUTTON, WATCHDOG) == "ba"
    assert after(BUTTON, 0) == "ba"


def main():
    tries()
    for healthy in (True, False):
        cut = 0
        while not one(FLASH, cut, healthy):
            gc.collect()
            cut += STEP
        print("%d operations, healthy: %s" % (cut, healthy))
        assert cut > 60
    print("ok")


def refuses():
    """A release whose launcher knows no slot that is one file: neither it nor what runs now would be found."""
    files = fresh(FLASH)
    main = content(ROOT + "/main.py")
    told = asyncio.run(send(files, "a"))
    assert told[update.S_PROBLEM] == update.MALFORMED, told
    assert content(ROOT + "/main.py") == main and content(ROOT + "/b.lyk") is None and stage.have(files) == 0
    expect_whole(files, boots_into(POWER_ON))
    print("ok")


FLASH = RamFlash(BLOCKS)  # there is no second piece of that size
files = fresh(FLASH)
with open(ROOT + "/data/bundle", "wb") as file:
    file.write(BUNDLE)
NEW = {path: digest for path, _, digest, _, _ in stage.entries(files)}
SIZES = {path: size for path, size, _, _, _ in stage.entries(files)}
if STEP:
    main()
else:
    refuses()

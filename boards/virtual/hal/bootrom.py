# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# Mounts the flash, installs the board's machine module, runs boot.py and main.py; the REPL follows by itself.
import gc
import os
import sys

import board_machine
import board_micropython
import board_time
import hal
import vfs


def _mount():
    vfs.umount("/rom")  # what was loaded from it stays where it is
    vfs.umount("/")  # the host's files
    flash = hal.Flash(hal.hello[3], hal.hello[4])
    try:
        if _erased(flash, hal.hello[4]):  # the first start: every port makes its file system
            vfs.VfsLfs2.mkfs(flash, progsize=hal.hello[5], readsize=256)
        vfs.mount(vfs.VfsLfs2(flash, progsize=hal.hello[5], readsize=256), "/")
    except OSError as e:
        # A silent reformat, as some ports do, would hide a lost file system from every test.
        hal.call(hal.FAULT, 0, ("no littlefs on the flash: %r" % e).encode())


def _erased(flash, block):
    # As the ESP32's inisetup looks at it: littlefs keeps its superblock in the first two blocks.
    piece = bytearray(256)
    blank = b"\xff" * len(piece)
    for at in range(0, 2 * block, len(piece)):
        flash.readblocks(at // block, piece, at % block)
        if piece != blank:
            return False
    return True


def _exec_file(name):
    # As pyexec_file_if_exists(): in __main__, False if it ended in an exception. Ctrl-C works from its first line on.
    try:
        with open(name) as f:
            source = f.read()
    except OSError:
        return True
    try:
        code = compile(source, name, "exec")
        del source
        board_micropython.kbd_intr(3)
        exec(code, sys.modules["__main__"].__dict__)  # noqa: S102
    except SystemExit:
        hal.call(hal.RESET, 1)  # does not return: the hardware ends this process
    except BaseException as e:  # noqa: BLE001  the start code of a port prints it and goes to the REPL
        sys.print_exception(e)
        return False
    finally:
        board_micropython.no_interrupt()
    return True


def run():
    import __main__

    board_micropython.no_interrupt()

    sys.modules["__main__"] = __main__
    sys.modules["machine"] = board_machine
    sys.modules["micropython"] = board_micropython
    sys.modules["time"] = board_time
    try:
        hal.call(hal.BLE)
        import board_bluetooth

        sys.modules["bluetooth"] = sys.modules.pop("board_bluetooth")
        del board_bluetooth
    except OSError:  # this board has none
        pass
    try:
        hal.call(hal.PULSES)
        import board_pulses

        sys.modules["esp32"] = sys.modules.pop("board_pulses")
        del board_pulses
    except OSError:  # nor has every board something that speaks in pulses
        pass
    if os.getenv("LYKTA_STEPPED"):
        import board_clock

        board_clock.install()
        del board_clock
    for name in ("hal", "board_events", "board_machine", "board_micropython", "board_time", "bootrom"):
        del sys.modules[name]
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.argv[:] = []
    __main__.__dict__.pop("__file__", None)
    _mount()
    gc.collect()
    if _exec_file("boot.py") and hal.hello[2]:
        hal.call(hal.PHASE, 1)
        _exec_file("main.py")
    hal.call(hal.PHASE, 2)

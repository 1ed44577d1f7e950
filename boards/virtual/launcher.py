# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Starts MicroPython in a process of its own: launcher.py SITE_DIR PARENT_PID ARGUMENT...

Run as a script by the Python that runs the board, isolated (-I -S): the interpreter comes as an extension module.
SIGUSR1 is the board's interrupt line: it schedules the function whose address the start code put into the slot at
LYKTA_IRQ_SLOT, as an interrupt handler of a port would with mp_sched_schedule().
"""

import ctypes
import importlib
import mmap
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def connect_interrupts(library: str) -> object:
    """Install the handler; the result must stay alive."""
    interpreter = ctypes.CDLL(library)
    libc = ctypes.CDLL(None)
    slot = ctypes.c_uint64(0)
    schedule = interpreter.mp_sched_schedule
    schedule.argtypes = (ctypes.c_uint64, ctypes.c_uint64)
    small_int_0 = 1

    def on_signal(number: int) -> None:
        if slot.value:
            schedule(slot.value, small_int_0)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(on_signal)
    # Not signal.signal(): its handler would wait for bytecode of CPython, which does not run while MicroPython does.
    libc.signal(signal.SIGUSR1, handler)
    libc.siginterrupt(signal.SIGUSR1, 1)  # a board waiting for input must wake
    os.environ["LYKTA_IRQ_SLOT"] = str(ctypes.addressof(slot))
    return slot, handler


def connect_rom() -> object:
    """Say where the board's read-only memory lies (boards/virtual/rom.py); the result must stay alive."""
    descriptor = os.environ.get("LYKTA_ROM_FD")
    if descriptor is None:
        return None
    memory = mmap.mmap(int(descriptor), 0, mmap.MAP_PRIVATE)
    place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    os.environ["LYKTA_ROM_AT"], os.environ["LYKTA_ROM_BYTES"] = str(place), str(len(memory))
    return memory


def main() -> int:
    """Bind this process's life to the board's and become the interpreter."""
    site_dir, parent, *arguments = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before the line above
        return 1
    sys.path.insert(0, site_dir)
    micropython_run = importlib.import_module("micropython_run")
    keep = connect_interrupts(str(micropython_run.__file__)), connect_rom()
    code = micropython_run.run_main(["micropython", *arguments])
    del keep
    return int(code)


if __name__ == "__main__":
    os._exit(main())

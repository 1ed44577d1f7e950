# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# Where the interpreter begins: what main() of a port in C does. Leaves nothing of itself in the firmware's namespace.
import os
import sys

import uctypes
import vfs

# The board's read-only memory (boards/virtual/rom.py): outside the heap, and run in place.
vfs.mount(vfs.VfsRom(uctypes.bytearray_at(int(os.getenv("LYKTA_ROM_AT")), int(os.getenv("LYKTA_ROM_BYTES")))), "/rom")
sys.path[:] = ["/rom"]
import bootrom  # noqa: E402

bootrom.run()
del bootrom, os, sys, uctypes, vfs

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Starts MicroPython in a process of its own: launcher.py SITE_DIR PARENT_PID ARGUMENT...

Run as a script by the Python that runs the board, isolated (-I -S), because the interpreter comes as an extension module.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Bind this process's life to the board's and become the interpreter."""
    site_dir, parent, *arguments = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before the line above
        return 1
    sys.path.insert(0, site_dir)
    import micropython_run

    code = micropython_run.run_main(["micropython", *arguments])
    return int(code)


if __name__ == "__main__":
    os._exit(main())

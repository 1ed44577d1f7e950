# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Code that is needed for a moment: loaded, used, and given back to the heap."""

import gc
import sys

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any  # noqa: F401  in a comment that names a type


class borrowed:  # noqa: N801  reads as a word of the language
    """``with borrowed("status") as status:`` loads ``firmware.node.status`` and forgets it afterwards.

    With it go *also*, modules below ``firmware`` that nothing else on the board needs all the time. Nothing of them
    may be kept: no class, no function, no instance. Who borrows for long says with ``spare`` how to have it back: that
    is called when there is no memory for another.
    """

    spare = None  # type: Any

    def __init__(self, name: str, *also: str) -> None:
        self._names = ["firmware.node." + name]
        self._names += ["firmware." + each for each in also]

    def __enter__(self):
        while True:
            gc.collect()
            try:
                return __import__(self._names[0], None, None, ["__name__"])
            except MemoryError:
                self.__exit__()
                if borrowed.spare is None:
                    raise
                borrowed.spare()

    def __exit__(self, *error) -> None:
        for each in self._names:
            sys.modules.pop(each, None)
            package, _, name = each.rpartition(".")
            parent = sys.modules.get(package)
            if hasattr(parent, name):
                delattr(parent, name)
        gc.collect()

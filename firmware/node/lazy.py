# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Code that is needed for a moment: loaded, used, and given back to the heap."""

import gc
import sys


class borrowed:  # noqa: N801  reads as a word of the language
    """``with borrowed("status") as status:`` loads ``firmware.node.status`` and forgets it afterwards.

    Nothing of the module may be kept: no class, no function, no instance.
    """

    def __init__(self, name: str) -> None:
        self._name = "firmware.node." + name

    def __enter__(self):
        gc.collect()
        return __import__(self._name, None, None, ["__name__"])

    def __exit__(self, *error) -> None:
        sys.modules.pop(self._name, None)
        package, _, name = self._name.rpartition(".")
        parent = sys.modules.get(package)
        if hasattr(parent, name):
            delattr(parent, name)
        gc.collect()

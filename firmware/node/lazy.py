# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Memory for a moment: code that is loaded, used and given back to the heap, and the piece that an open file takes."""

import gc
import sys

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any  # noqa: F401  in a comment that names a type


_WORD_BYTES = 8 if sys.maxsize >> 32 else 4
_BESIDE = 48  # words that an import makes before it opens its file, which stay
_LARGE_BYTES = 512  # smaller places are found; and ports whose files take less have a heap that grows when it is full


class place:  # noqa: N801  like borrowed
    """One piece of memory for the next file that is opened, code that is loaded too: littlefs wants some 1,200 bytes in
    a row for one, and after hours the heap lies in smaller pieces.

    It is the highest there is: whatever else is made while it is in use comes lower, where the search for memory
    begins. And it is a list, since MicroPython gives the memory of one that is cleared back at once: all else waits
    until it is collected, and is not while something on the stack looks like its address.
    """

    size = 0  # what a file was found to take
    kept = None  # type: list | None


def keep() -> None:
    """Have that place again once a file is closed, from a frame that never knew the file."""
    if place.kept is None and place.size:
        words = place.size // _WORD_BYTES
        place.kept = _highest(words + _BESIDE) or _highest(words + 4)


def _highest(words: int) -> "list | None":
    """Return a list of so many words, where memory ends; None: there is no room for one."""
    gc.collect()
    last = None
    try:
        while last is None or place.size > _LARGE_BYTES:
            higher = [None] * words  # type: list
            higher[0] = last
            last = higher
    except MemoryError:
        pass
    each = last and last[0]
    while each is not None:
        lower = each[0]
        each.clear()
        each = lower
    if last is not None:
        last[0] = None
    return last


def opened(path: str, mode: str):
    """Open a file, in the place that is kept for it where the rest of the heap is in pieces. Raises OSError.

    Who calls this calls ``keep`` afterwards. The first one is measured: while memory is in one piece.
    """
    used = getattr(gc, "mem_alloc", None)  # CPython has none
    if used is not None and not place.size:
        gc.collect()
        before = used()
        file = open(path, mode)  # noqa: SIM115  who asked closes it
        gc.collect()
        place.size = used() - before
        return file
    while True:
        try:
            return open(path, mode)
        except MemoryError:
            if not make_room():
                raise


def make_room() -> bool:
    """Give up what is kept for a file, then the code that somebody borrowed for long; False when there is neither."""
    if place.kept is None:
        if borrowed.spare is None:
            return False
        borrowed.spare()
    if place.kept:
        place.kept.clear()
        place.kept = None
    gc.collect()
    return True


class borrowed:  # noqa: N801  reads as a word of the language
    """``with borrowed("status") as status:`` loads ``firmware.node.status`` and forgets it afterwards.

    With it go *also*, modules below ``firmware`` that nothing else on the board needs all the time, each behind those
    that load it. Nothing of them may be kept: no class, no function, no instance. Who borrows for long says with
    ``spare`` how to have it back: that is called when there is no memory for another.
    """

    spare = None  # type: Any

    def __init__(self, name: str, *also: str) -> None:
        self._names = ["firmware.node." + name]
        self._names += ["firmware." + each for each in also]

    def __enter__(self):
        gc.collect()
        names = self._names[:1]
        while True:
            try:
                for name in names:
                    module = __import__(name, None, None, ["__name__"])
                    if len(names) > 1:
                        gc.collect()  # its file is closed, and the next one takes the place
                break
            except MemoryError:
                self._forget()
                if not make_room():
                    raise
                names = self._names[::-1]  # each file alone: of two at once the second finds no place
        keep()
        return module

    def __exit__(self, *error) -> None:
        self._forget()
        gc.collect()
        keep()

    def _forget(self) -> None:
        for each in self._names:
            sys.modules.pop(each, None)
            package, _, name = each.rpartition(".")
            parent = sys.modules.get(package)
            if hasattr(parent, name):
                delattr(parent, name)

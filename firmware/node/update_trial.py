# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What becomes of an update after the start that tries it. Looked at once at every start; and to confirm."""

from firmware.node import update_stage as stage
from firmware.node.errors import StoreCorrupt
from firmware.node.log import log, log_error
from firmware.wire import update


def launcher(root: str) -> tuple:
    """Return slot, build and whether that is on trial, as the first line of /main.py says; empty for another file."""
    try:
        with open(root + "/main.py", "rb") as file:
            words = file.readline().decode().replace(",", "").split()
        at = words.index("build")
        return words[words.index("slot") + 1], bytes.fromhex(words[at + 1]), "trial" in words
    except (OSError, ValueError, IndexError):
        return "", b"", False


def under_way(root: str = "") -> bool:
    """Tell whether this start tries a build, so that a reset goes back to the one before."""
    slot, _, trial = launcher(root)
    return trial and slot != "" and slot == stage.running()


def begin(files, root: str = "", runs: "str | None" = None) -> "tuple | None":
    """Settle what the start before left. Return (seconds of the trial, parts broken before) while one is under way."""
    try:
        record = stage.Record(files)
        if record.phase != update.TRIAL:
            return None
        slot, build, on_trial = launcher(root)
        ours = (slot, build) == (record.slot, record.build)
        here = stage.running() if runs is None else runs
        if ours and here == slot:
            if on_trial:
                log("update", "build %s is on trial for %d s" % (build.hex(), record.health_s))
                return record.health_s, record.failed
            _finish(files, root, record)  # the power went in the middle of it
        elif ours and on_trial:
            log("update", "build %s was rolled back" % build.hex())
            stage.clear(files)
            record.end(update.ROLLED_BACK, update.UNHEALTHY)
        else:  # it was never started; the bundle is still here
            record.end(update.IDLE, update.NONE)
    except (OSError, StoreCorrupt) as error:
        log_error("update", error)
    return None


def confirm(files, root: str = "") -> None:
    """The build that runs stays. Raises OSError, StoreCorrupt."""
    record = stage.Record(files)
    stage.put(root + "/boot.py", stage.template(files, "/boot.py"))
    stage.put(root + "/main.py", stage.template(files, "/main.py"), record.slot)
    _finish(files, root, record)


def _finish(files, root: str, record) -> None:
    stage.remove(root + "/trial")
    stage.clear(files)  # the record is last: until it is written, the next start comes here again
    record.counter = max(record.counter, record.sequence)
    record.end(update.CONFIRMED, update.NONE)
    log("update", "build %s is confirmed; sequence number %d" % (record.build.hex(), record.counter))

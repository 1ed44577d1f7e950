# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Takes an update in blocks, over whichever link: see ``wire.update``. Loaded with the first message, given back after.

Everything that has arrived is on flash: after a reset the status says how far it is, and blocks go on from there.
"""

import hashlib
import struct
import sys

import machine

from firmware.node import update_stage as stage
from firmware.node.errors import StoreCorrupt
from firmware.node.lazy import borrowed
from firmware.node.log import log, log_error
from firmware.node.store import Slots, decode
from firmware.wire import cbor, update
from firmware.wire.errors import Malformed
from firmware.wire.readings import FPORT_FRAGMENTS

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any  # noqa: F401  in a comment that names a type

_SPARE_BYTES = 8192  # for readings, and for littlefs to move
_QUIET_S = 600  # then the code is given back; what has arrived is on flash
_RESTART_MS = 5000  # the answer goes first
_ENOSPC = 28  # the errno module of a board does not name it
_IMPLEMENTATION = getattr(sys, "implementation")  # noqa: B009  the stubs do not know _mpy
_HEAD = {update.OFFER: 5, update.BLOCK: 7, update.ASK: 1, update.INSTALL: 3, update.ABORT: 1}


class Keeper:
    """What the node's service has of updates, while one is coming or on trial."""

    def __init__(self, service) -> None:
        self._service = service
        self._busy = False
        self._desk = None  # type: Desk | None
        self._until_s = service.clock.uptime_s() + _QUIET_S
        with borrowed("update_trial") as trial:
            self._trial = trial.begin(service.files)

    async def take(self, fport: int, payload: bytes) -> list:
        """Take a message; return what answers it. One at a time: the network and a console may both ask."""
        if self._busy:
            return []
        self._busy = True
        try:
            if self._desk is None:
                self._desk = Desk(self._service.files, self._service.breathe)
            self._until_s = self._service.clock.uptime_s() + _QUIET_S
            if fport == FPORT_FRAGMENTS:
                answers = self._desk.take_fragments(payload)
            else:
                if payload[:1] == bytes([update.INSTALL]):
                    await self._service.self_test()  # so that the trial knows what was broken already
                answers = await self._desk.take(payload, self._service.failed)
            if self._desk.restart:
                self._desk.restart = False
                self._service.restart(_RESTART_MS)
            layer = getattr(self._service.link, "layer", None)
            if answers and layer is not None:
                layer.poll()
            return answers
        finally:
            self._busy = False

    async def is_over(self) -> bool:
        """Settle a trial: confirmed, or a reset undoes it. Tell whether nothing is left, so that this code may go."""
        service = self._service
        now_s = service.clock.uptime_s()
        if self._busy:
            return False
        if self._trial is None:
            if self._desk is not None and (self._desk.idle() or now_s > self._until_s):
                self._desk.give_back()
                self._desk = None
            return self._desk is None
        allowed_s, before = self._trial
        if service.answered():
            await service.self_test()
            if not service.failed & ~before:
                with borrowed("update_trial") as trial:
                    trial.confirm(service.files)
                self._trial = self._desk = None
                return True
        if now_s > allowed_s:
            log("update", "not healthy within %d s; the build before runs again" % allowed_s)
            machine.reset()
        return False


class Desk:
    """*breathe* lets other tasks work for a moment."""

    def __init__(self, files, breathe, root: str = "", runs: "str | None" = None) -> None:
        self._files = files
        self._breathe = breathe
        self._root = root
        self.runs = stage.running() if runs is None else runs
        self._collected = bytearray()
        self._problem = update.NONE
        self._gap = -1  # for this offset it was told already that something is missing
        self._signed = files.read(stage.OFFER) or None  # an empty one: the power went while it was made
        self.size = 0
        self.have = stage.have(files)
        self._lent = None  # type: Any  # the code for fragments
        self._transport = None  # type: Any
        self.restart = False  # the next start is to try what was installed

    async def take(self, payload: bytes, failed: int = 0) -> list:
        """Do what a message asks; return the payloads that answer it."""
        what = payload[0] & ~update.ANSWER if payload else 0
        if len(payload) < _HEAD.get(what, 1 << 16):
            return []
        try:
            if stage.Record(self._files).phase == update.TRIAL:
                return [self.status()]  # the build before, and the bundle, are needed until that is settled
            self._known()
            if what in (update.OFFER, update.INSTALL, update.ABORT):
                self.give_back()
            if what == update.OFFER:
                answer = await self._offer(payload)
            elif what == update.BLOCK:
                answer = self._block(payload)
            elif what == update.INSTALL:
                answer = await self._install(payload[1:], failed)
            else:
                if what == update.ABORT:
                    self._drop()
                answer = True
        except StoreCorrupt:
            answer, self._problem = True, update.STORE_LOST
        except OSError as error:
            log_error("update", error)
            answer, self._problem = True, update.NO_ROOM if error.args[0] == _ENOSPC else update.FLASH
        return [self.status()] if answer else []

    def take_fragments(self, payload: bytes) -> list:
        """Do what a frame on FPort 201 asks; return the payloads that answer it there."""
        try:
            if stage.Record(self._files).phase == update.TRIAL:
                return []
            self._known()
            if self._transport is None:
                self._lent = borrowed("update_fragments", "node.defragmenter", "wire.fragments")
                self._transport = self._lent.__enter__().Transport(self._files, self._root, self)
                borrowed.spare = self.give_back  # all of it is on flash
            answer = self._transport.take(payload)
        except (Malformed, StoreCorrupt, OSError, MemoryError, ImportError) as error:  # without a radio: no such code
            log_error("update", error)  # the next question shows how far this board is
            self.give_back()
            return []
        return [answer] if answer else []

    def give_back(self) -> None:
        """Let the code for fragments go; all that they brought is on flash."""
        borrowed.spare = None
        if self._lent is not None:
            self._transport = None
            self._lent.__exit__()
            self._lent = None

    @property
    def session(self) -> bytes:
        """By which the update that is offered is named, b"" while none is."""
        return stage.session(self._signed) if self._signed else b""

    def grown(self) -> None:
        """The bundle has become longer."""
        self.have = stage.have(self._files)
        self._gap = -1
        self._problem = update.NONE

    def idle(self) -> bool:
        """Tell whether nothing is under way, so that this code may go."""
        return self._signed is None and not self._collected

    def status(self) -> bytes:
        """Return how it stands."""
        try:
            record = stage.Record(self._files)
            phase, problem, counter = record.phase, record.problem, record.counter
        except StoreCorrupt:
            phase, problem, counter = update.IDLE, update.STORE_LOST, 0
        if self._signed is not None and phase != update.TRIAL:
            phase, problem = update.COMPLETE if self.size and self.have >= self.size else update.RECEIVING, 0
        try:
            build = stage.describes(self._root, self.runs)[0]
        except OSError:
            build = b""
        return cbor.dumps(
            {
                update.S_PHASE: phase,
                update.S_PROBLEM: self._problem or problem,
                update.S_SESSION: self.session,
                update.S_HAVE: self.have,
                update.S_SIZE: self.size,
                update.S_COUNTER: counter,
                update.S_BUILD: build,
            }
        )

    async def _offer(self, payload: bytes) -> bool:
        _, offset, total = struct.unpack(">BHH", payload[:5])
        if total > update.MAX_MANIFEST:
            self._problem = update.MALFORMED
            return True
        if offset > len(self._collected):
            return True  # what came before was lost on its way: the answer names no session, so it is offered again
        self._collected = self._collected[:offset] + payload[5:]
        if len(self._collected) < total:
            return False
        signed, self._collected = bytes(self._collected), bytearray()
        wanted = await self._judged(signed)
        if wanted is None:
            return True
        if signed != self._signed:
            self._drop()
            if stage.room(self._root, self.runs) < wanted[update.M_SIZE] + _SPARE_BYTES:
                self._problem = update.NO_ROOM
                return True
            self._files.write(stage.OFFER, signed)
            self._signed = signed
            log("update", "build %s is coming, %d bytes" % (wanted[update.M_BUILD].hex(), wanted[update.M_SIZE]))
        self.size = wanted[update.M_SIZE]
        return True

    async def _judged(self, signed: bytes):
        """Return the manifest when it may be installed here; else None, and why in ``_problem``."""
        try:
            runs = stage.describes(self._root, self.runs)
        except OSError:
            self._problem = update.NO_SLOT
            return None
        counter = stage.Record(self._files).counter
        self._problem, wanted = await judge(self._files, signed, counter, runs, self._breathe)
        if wanted is None:
            log("update", "refused: %d" % self._problem)
        return wanted

    def _known(self) -> None:
        """After a reset: how long the bundle is that was coming. Its signature was good, and is asked for once more."""
        if self._signed is None or self.size:
            return
        try:
            wanted = update.manifest(update.parse(self._signed)[2])
            runs = stage.describes(self._root, self.runs)
            self._problem = _fits(wanted, stage.Record(self._files).counter, runs)
            self.size = wanted[update.M_SIZE]
        except (Malformed, OSError):
            self._problem = update.DAMAGED
        if self._problem != update.NONE:
            self._forget()

    def _block(self, payload: bytes) -> bool:
        kind, session, offset = struct.unpack(">B2sI", payload[:7])
        if self._signed is None or session != self.session:
            self._problem = update.NO_SESSION
            return True
        data = payload[7:]
        if offset == self.have and offset + len(data) <= self.size:
            self._files.append(stage.BUNDLE, data)  # a piece that came in fragments in between begins elsewhere now
            self.have += len(data)
            self._gap = -1
            self._problem = update.NONE
        elif offset > self.have and self._gap != self.have:
            self._gap = self.have
            return True
        return bool(kind & update.ANSWER) or self.have == self.size

    async def _install(self, session: bytes, failed: int) -> bool:
        if self._signed is None or session != self.session:
            self._problem = update.NO_SESSION
            return True
        wanted = await self._judged(self._signed)  # once more: what lies on flash counts
        if wanted is None:
            self._forget()
            return True
        if not stage.is_whole(self._files, wanted[update.M_SIZE], wanted[update.M_SHA256]):
            self._problem = update.DAMAGED
            if self.have >= wanted[update.M_SIZE]:
                self._files.remove(stage.BUNDLE)
                self.have = 0
            return True
        slot = "b" if self.runs == "a" else "a"
        self._problem = await stage.fill(self._files, self._root, slot, self.runs, self._breathe)
        if self._problem != update.NONE:
            self._forget()
            return True
        self._note(wanted, slot, failed)
        stage.start_trial(self._files, self._root, slot, self.runs)
        log("update", "installed in slot %s; the next start tries it" % slot)
        self.restart = True
        return True

    def _note(self, wanted: dict, slot: str, failed: int) -> None:
        record = stage.Record(self._files)
        record.sequence, record.build = wanted[update.M_SEQUENCE], wanted[update.M_BUILD]
        record.slot, record.health_s, record.failed = slot, wanted[update.M_HEALTH_S], failed
        record.end(update.TRIAL, update.NONE)

    def _forget(self) -> None:
        problem = self._problem
        self._drop()
        self._problem = problem

    def _drop(self) -> None:
        stage.clear(self._files)
        self._signed, self.size, self.have, self._problem = None, 0, 0, update.NONE


def vendors(files) -> dict:
    """Return the public keys that may sign, 64 bytes each, by their ids. Written by provisioning."""
    payload = Slots(files, "vendor").payload
    keys = decode(payload) if payload else []
    return {hashlib.sha256(key).digest()[: update.KEY_ID_BYTES]: key for key in keys}


async def judge(files, signed: bytes, counter: int, runs: tuple, breathe) -> tuple:
    """Return (problem, manifest); the manifest is None unless the problem is NONE.

    *runs*: build, board, kind and links of the node that runs; *breathe* lets the others work for a moment.
    """
    try:
        header, key_id, payload, signature = update.parse(signed)
    except Malformed:
        return update.MALFORMED, None
    public = vendors(files).get(key_id)
    if public is None:
        return update.UNKNOWN_KEY, None
    digest = hashlib.sha256(update.to_be_signed(header, payload)).digest()
    good = False
    with borrowed("p256") as p256:
        for each in p256.steps(public, digest, signature):
            good = each is True
            await breathe()
    if not good:
        return update.BAD_SIGNATURE, None
    try:
        wanted = update.manifest(payload)
    except Malformed:
        return update.MALFORMED, None
    problem = _fits(wanted, counter, runs)
    return problem, (wanted if problem == update.NONE else None)


def _fits(wanted: dict, counter: int, runs: tuple) -> int:
    if wanted[update.M_SEQUENCE] <= counter:
        return update.NOT_NEWER
    if wanted[update.M_BOARD] != runs[1]:
        return update.OTHER_BOARD
    if (wanted[update.M_KIND], wanted[update.M_LINKS]) not in (runs[2:], ("", "")):
        return update.OTHER_PURPOSE
    if wanted[update.M_MPY] != getattr(_IMPLEMENTATION, "_mpy", 0) & 0xFF:
        return update.OTHER_BYTECODE
    if wanted.get(update.M_BASE, runs[0]) != runs[0]:
        return update.OTHER_BASE
    return update.NONE

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Takes commands, queues what may go to devices, and answers. Runs in the one thread that owns the databases.

A command and the downlinks that carry it reach the disk in one commit, and so does each answer with what it is about:
a gateway that is lost in between neither forgets a command nor does it twice.
"""

from __future__ import annotations

import hashlib
from random import SystemRandom
from typing import TYPE_CHECKING

from gateway.commands.judge import Judge
from gateway.commands.outcome import Outcomes
from gateway.commands.part import Part
from gateway.errors import CannotSign, CommandRefused, QueueFull, StoreUnavailable
from gateway.network.downlinks import Item
from gateway.network.kept_commands import KeptCommands, Pending
from gateway.network.share import ALL
from gateway.operate.logs import EventLog, Seldom

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from consumer.commands import Command
    from gateway.clock import Clock
    from gateway.commands.judge import Commander
    from gateway.commands.results import ResultSigner
    from gateway.network.downlinks import Fate
    from gateway.network.kept_commands import Answer
    from gateway.network.register import Device
    from gateway.network.server import NetworkServer
    from gateway.network.sessions import SessionStore
    from gateway.operate.counters import Counters
    from provisioning.orders import Order

_RATION = 20
"""Answers to messages that nobody known signed, in a second."""
_REPEAT_S = 2.0
"""Who sends a command again is answered again, so often at most: an answer is as long as the command has devices."""
_MAX_REPEATED = 1000
_NUMBERS = 1 << 16
_random = SystemRandom()


class CommandOffice:
    """All commands of this gateway. *news* is called, in this thread, when there are answers to fetch."""

    def __init__(
        self,
        server: NetworkServer,
        store: SessionStore,
        judge: Judge,
        signer: ResultSigner,
        clock: Clock,
        counters: Counters,
        news: Callable[[], None] = lambda: None,
        part: Part | None = None,
    ) -> None:
        self._part = part or Part(ALL, None)
        self._server = server
        self._store = store
        self._judge = judge
        self._sign = signer
        self._clock = clock
        self._counters = counters
        self._news = news
        self._kept = KeptCommands(store)
        self._log = EventLog("commands")
        self._seldom = Seldom()
        self._second, self._left = 0, _RATION
        self._repeated: dict[tuple[str, bytes], float] = {}
        self.outcomes = Outcomes(server, self._kept, signer, clock, counters)
        self.outcomes.resume(store.downlinks())

    def take(self, platform: str, topic: tuple[str, bytes], message: bytes) -> bool:
        """Take one message; *topic* is the commander and the id under which it came. Raises StoreUnavailable.

        Tell whether it may go now; if not, another worker needs it still. Raises also what keeps the register from
        answering: then it has to come again.
        """
        digest = hashlib.sha256(message).digest()
        try:
            command, commander = self._judge.authentic(message, self._clock.wall_s())
        except CommandRefused as error:
            if not self._part.speaks(digest):
                return False
            self._note_refusal(error, topic[0])
            if self._rationed():
                self._answer(platform, topic, digest, error)
            return True
        ours = self._part.ours(command)
        if ours is None:
            return False
        self._take_ours(platform, ours, commander, digest, command.devices)
        return self._part.all_taken(command.devices, digest)

    def _take_ours(
        self, platform: str, command: Command, commander: Commander, digest: bytes, every: Sequence[bytes]
    ) -> None:
        """Take a command for our devices, of all that it is for."""
        address = command.commander, command.command_id
        known = self._kept.known(*address)
        try:
            if known is None:
                self._judge.in_time(command, self._clock.wall_s())
                self._carry_out(platform, command, commander, digest)
            elif known[0] == digest:
                self._again(platform, address, known[1])
            else:
                self._refuse(platform, address, digest, CommandRefused("id_used", "another command had this id"))
        except CommandRefused as error:
            left_out = self._part.refusal(every, command.devices, error)
            if left_out is None:
                self._refuse(platform, address, digest, error)
            elif left_out:
                self._note_refusal(error, command.commander)
                self._reply(platform, command, digest, "allowed" if command.dry_run else "queued", left_out)

    def heard(self, dev_eui: bytes, kind: str, fport: int, payload: bytes) -> None:
        """A device answered. Durable with the commit of the batch that its frame is in. Raises StoreUnavailable."""
        if self.outcomes.heard(dev_eui, kind, fport, payload):
            self._news()

    def fates(self, fates: Sequence[tuple[Item, Fate]]) -> None:
        """Note what became of downlinks."""
        self._guarded(lambda: self.outcomes.fates(fates))

    def look(self) -> None:
        """Ask again, give up, forget: whatever its time has come for."""
        self._guarded(self.outcomes.look)

    def asked_again(self) -> bool:
        """Tell whether ``look`` queued something since the last call."""
        before, self.outcomes.asked_again = self.outcomes.asked_again, False
        return before

    def answers(self, platform: str, after: int, most: int) -> list[Answer]:
        """Return answers that a platform has not taken. Raises StoreUnavailable."""
        return self._kept.answers(platform, after, most)

    def drop_answers(self, rows: Sequence[int]) -> None:
        """The platform has them."""
        self._guarded(lambda: self._kept.drop_answers(rows))

    def _guarded(self, change: Callable[[], object]) -> None:
        """Change and commit; what the disk does not take happens again."""
        try:
            told = change()
            self._store.commit()
        except StoreUnavailable as error:
            self._server.rollback()
            if self._seldom.allow("store") is not None:
                self._log.warning("not_noted", why=error)
        else:
            if told is True:
                self._news()

    def _carry_out(self, platform: str, command: Command, commander: Commander, digest: bytes) -> None:
        if self._kept.full():
            raise CommandRefused("busy", "this gateway remembers as many commands as it can")
        found: list[tuple[Device, Order]] = []
        left_out: dict[str, str] = {}
        for dev_eui in command.devices:
            try:
                found.append(self._judge.allowed(command, commander, dev_eui))
            except CommandRefused as error:
                self._counters.add("commands", f"device_{error.reason}")
                left_out[dev_eui.hex()] = f"{error.reason}: {error}"
        if not found:
            raise CommandRefused("no_device", "none of its devices takes it", left_out=left_out)
        if command.dry_run:
            self._reply(platform, command, digest, "allowed", left_out)
            self._counters.add("commands", "tried")
            return
        self._queue(platform, command, digest, found, left_out)

    def _queue(
        self,
        platform: str,
        command: Command,
        digest: bytes,
        found: Sequence[tuple[Device, Order]],
        left_out: dict[str, str],
    ) -> None:
        queued: list[Item] = []
        try:
            for device, what in found:
                try:
                    queued.append(self._queue_one(command, device, what))
                except QueueFull as error:
                    left_out[device.dev_eui.hex()] = f"queue_full: {error}"
            if not queued:
                raise CommandRefused("queue_full", "none of its devices has room for it", left_out=left_out)
            answer = self._sign.whole(command.commander, command.command_id, digest, "queued", "", left_out)
            now_s = self._clock.wall_s()
            rest = (platform, command.verb, now_s, float(command.exp_s), answer)
            self._kept.add(command.commander, command.command_id, digest, *rest)
            self._put(platform, (command.commander, command.command_id), answer)
            self._store.commit()
        except CannotSign as error:
            self._server.take_back(queued)
            raise CommandRefused("cannot_sign", str(error)) from error
        except StoreUnavailable:
            self._server.take_back(queued)
            raise
        self._counters.add("commands", "queued", len(queued))
        self._log.info(
            "command_queued",
            commander=command.commander,
            command=command.command_id,
            verb=command.verb,
            arguments=command.arguments,
            devices=[item.dev_eui.hex() for item in queued[:20]],
            number=len(queued),
            left_out=len(left_out),
        )
        self._news()

    def _queue_one(self, command: Command, device: Device, what: Order) -> Item:
        now_s, wall_s = self._clock.monotonic_s(), self._clock.wall_s()
        number = self._number(device.dev_eui)
        request = what.request(number)
        item = Item(device.dev_eui, what.fport, request, confirmed=True, expires_at_s=now_s + command.exp_s - wall_s)
        self._server.queue_up(item, self._clock)
        self._kept.add_device(
            Pending(
                commander=command.commander,
                id=command.command_id,
                dev_eui=device.dev_eui,
                number=number,
                kind=device.kind,
                wanted=self.outcomes.wanted(what.keys),
                said="{}",
                tries=self.outcomes.tries_of(command.verb),
                asked_at=None,
                expires_at=float(command.exp_s),
                fport=what.fport,
                request=request,
            )
        )
        return item

    def _number(self, dev_eui: bytes) -> int:
        used = self._kept.numbers(dev_eui)
        number = _random.randrange(_NUMBERS)
        while number in used and len(used) < _NUMBERS:
            number = (number + 1) % _NUMBERS
        return number

    def _again(self, platform: str, address: tuple[str, bytes], answer: bytes) -> None:
        """The same message once more: what is known of it so far, and nothing else."""
        self._counters.add("commands", "repeated")
        now_s = self._clock.monotonic_s()
        if now_s - self._repeated.get(address, float("-inf")) < _REPEAT_S:
            return
        self._repeated.pop(address, None)  # to the end of the table
        self._repeated[address] = now_s
        if len(self._repeated) > _MAX_REPEATED:
            del self._repeated[next(iter(self._repeated))]
        for message in (answer, *self._kept.answers_of(*address)):
            self._put(platform, address, message)
        self._store.commit()
        self._news()

    def _reply(self, platform: str, command: Command, digest: bytes, state: str, left_out: dict[str, str]) -> None:
        try:
            message = self._sign.whole(command.commander, command.command_id, digest, state, "", left_out)
        except CannotSign as error:
            raise CommandRefused("cannot_sign", str(error)) from error
        self._put(platform, (command.commander, command.command_id), message)
        self._store.commit()
        self._news()

    def _refuse(self, platform: str, address: tuple[str, bytes], digest: bytes, error: CommandRefused) -> None:
        self._note_refusal(error, address[0])
        self._answer(platform, address, digest, error)

    def _answer(self, platform: str, address: tuple[str, bytes], digest: bytes, error: CommandRefused) -> None:
        if not 0 < len(address[0]) <= 64 or len(address[1]) != 16:
            return  # nobody waits under such a name
        why = f"{error.reason}: {error}"[:300]
        try:
            message = self._sign.whole(*address, digest, "refused", why, error.left_out)
        except CannotSign:
            return  # the log says so already, and loudly
        self._put(platform, address, message)
        self._store.commit()
        self._news()

    def _put(self, platform: str, address: tuple[str, bytes], message: bytes) -> None:
        self._kept.put_answer(platform, f"{address[0]}/{address[1].hex()}", message)

    def _note_refusal(self, error: CommandRefused, commander: str) -> None:
        self._counters.add("commands", f"refused_{error.reason}")
        held_back = self._seldom.allow((error.reason, commander[:64]))
        if held_back is not None:
            self._log.warning("command_refused", commander=commander[:64], reason=error.reason, why=error)

    def _rationed(self) -> bool:
        second = int(self._clock.monotonic_s())
        if second != self._second:
            self._second, self._left = second, _RATION
        self._left -= 1
        return self._left >= 0

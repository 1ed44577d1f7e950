# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A conversation with a board (`firmware.wire.console`): both sides prove that they hold the device's key."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from firmware.wire import cbor, console, kinds, readings, requests
from firmware.wire.errors import WireError
from firmware.wire.kinds import common_controls
from firmware.wire.shapes import describe, fits
from provisioning.bluetooth.nearby import Known, ecb
from provisioning.bluetooth.radio import Line
from provisioning.errors import BluetoothError, ContactLost

_ANSWER_S: Final = 10.0
_SELF_TEST_S: Final = 60.0
_MORE_S: Final = 2.0
"""For another part of an answer, where nobody knows how many there are."""
_UPTIME_STEP_S: Final = 1.0
_RESULTS: Final = {
    common_controls.WORKS: "works",
    common_controls.BROKEN: "broken",
    common_controls.ABSENT: "not there",
    common_controls.WAITS: "not known yet",
}


_REPEATABLE: Final = ("self_test", "report_status")
"""Commands that may be obeyed twice by a board that forgot the first time."""


@dataclass
class Asked:
    """The numbers of a job's requests, over however many connections: the same request has the same number again."""

    start: int = field(default_factory=lambda: secrets.randbelow(requests.MAX_ID))
    first_s: dict[int, float] = field(default_factory=dict)
    """When a command was sent for the first time, by its number."""


class Talk:
    """Call `begin` first. Every method raises ContactLost when no authentic answer comes.

    A job that is done anew over another connection asks the same in the same order, and passes the same *asked*: a
    board that has obeyed the last command of it already repeats its answer.
    """

    def __init__(self, line: Line, known: Known, asked: Asked | None = None) -> None:
        self.kind = known.device.kind
        self._line = line
        self._key = known.console_key
        self._channel: console.Channel | None = None
        self._asked = asked or Asked()
        self._number = self._asked.start

    async def begin(self) -> None:
        """Say hello; the answer proves that it is the device."""
        encrypt, ours = ecb(self._key), secrets.token_bytes(console.NONCE_BYTES)
        await self._line.send(console.hello(encrypt, ours))
        with suppress(ContactLost):  # a board that does not know us ends the connection
            while (phy := await self._line.receive(_ANSWER_S)) is not None:
                try:
                    theirs = console.open_challenge(encrypt, phy, ours)
                except WireError:  # a frame for its network, or somebody else's
                    continue
                self._channel = console.Channel(ecb, self._key, ours, theirs, console.DOWN, console.UP)
                return
        raise ContactLost(
            "The board does not prove that it is this device.",
            reason="It answers a console only when it holds the same key as the register.",
            next_step="lykta ble scan shows which boards are in reach",
        )

    async def now(self) -> dict[str, Any]:
        """Contact with its network, readings that wait, uptime, and the latest reading's values."""
        found = _decoded(await anext(self._said(console.PORT_NOW, b"")))
        values = {}
        if isinstance(item := found.get(console.NOW_READING), dict):
            item[readings.KEY_SEQ] = 1
            values = readings.decode_reading(kinds.load(self.kind), item)[3]
        return {
            "contact_s": found.get(console.NOW_CONTACT_S),
            "waiting": found.get(console.NOW_WAITING),
            "uptime_s": found.get(console.NOW_UPTIME_S),
            "values": values,
        }

    async def command(self, name: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        """Have it obey a command of its kind; return results by name. Raises BluetoothError for a refusal too."""
        key, table = self._command(name)
        keys: dict[int, object] = {}
        for argument, value in arguments.items():
            keys[_key_of(table, argument, value)] = value
        number = self._next()
        request = requests.command(number, key, keys)
        if number not in self._asked.first_s:
            self._asked.first_s[number] = time.monotonic()
        elif name not in _REPEATABLE and await self._began_anew_since(self._asked.first_s[number]):
            if name == "restart":
                return {}
            raise BluetoothError(
                "The board has started anew since it was told; nobody knows whether it obeyed before.",
                value=name,
                next_step="look, and give the command again if it is still needed",
            )
        answer = _accepted(await anext(self._said(readings.FPORT_COMMANDS, request, number, _SELF_TEST_S)), name)
        results = answer.get(requests.RESULTS, {})
        components = {key: name for module in kinds.controls(self.kind) for name, key in module.COMPONENTS}
        return {components.get(key, str(key)): _RESULTS.get(value, str(value)) for key, value in results.items()}

    async def settings(self, changes: Mapping[str, object]) -> dict[str, Any]:
        """Set values, or ask for all that differ from their defaults when there are none."""
        table = [row for module in kinds.controls(self.kind) for row in module.SETTINGS]
        named = tuple((name, key, shape) for name, key, shape, _default in table)
        number = self._next()
        if changes:
            request = requests.settings(number, {_key_of(named, name, value): value for name, value in changes.items()})
        else:
            request = requests.ask_settings(number, [])
        names = {key: name for name, key, _shape in named}
        found: dict[str, Any] = {}
        async for payload in self._said(readings.FPORT_SETTINGS, request, number):
            for key, value in _accepted(payload, "settings").get(requests.VALUES, {}).items():
                found[names.get(key, str(key))] = value
            if changes and found.keys() >= changes.keys():
                break
        return found

    async def listen(self, on: bool) -> None:
        """Have it send each line of its log, or no more."""
        await anext(self._said(console.PORT_LOG, b"\x01" if on else b"\x00"))

    async def line(self, within_s: float) -> str | None:
        """The next line of its log."""
        answer = await self._next_answer(within_s)
        return answer[1].decode(errors="replace") if answer and answer[0] == console.PORT_LOG else None

    async def exchange(self, port: int, messages: Sequence[bytes], within_s: float) -> bytes | None:
        """Send messages in a row; return what the board says to them on this port, None when it says nothing in time.

        What it said to earlier ones, and has only arrived now, is left out. Raises BluetoothError, as a lost line does.
        """
        if self._channel is None:
            raise BluetoothError("The conversation has not begun.")
        while (await self._next_answer(0)) is not None:
            pass
        for message in messages:
            await self._line.send(self._channel.seal(port, message))
        end_s = time.monotonic() + within_s
        while (left_s := end_s - time.monotonic()) > 0 and (answer := await self._next_answer(left_s)) is not None:
            if answer[0] == port:
                return answer[1]
        return None

    def _command(self, name: str) -> tuple[int, Any]:
        known = {own: (key, table) for module in kinds.controls(self.kind) for own, key, table in module.COMMANDS}
        if name not in known:
            raise BluetoothError(
                f"A {self.kind} has no such command.",
                value=name,
                next_step=f"choose one of: {', '.join(sorted(known))}",
            )
        return known[name]

    def _next(self) -> int:
        self._number = (self._number + 1) % (requests.MAX_ID + 1)
        return self._number

    async def _began_anew_since(self, moment_s: float) -> bool:
        """Whether it runs for less time than has passed: then it does not remember what it was told."""
        uptime_s = (await self.now())["uptime_s"]
        return isinstance(uptime_s, int) and uptime_s + _UPTIME_STEP_S < time.monotonic() - moment_s

    async def _said(
        self, port: int, payload: bytes, number: int | None = None, within_s: float = _ANSWER_S
    ) -> AsyncIterator[bytes]:
        """Send it; give what the board says to it, one after another, until it has said no more for a while."""
        if self._channel is None:
            raise BluetoothError("The conversation has not begun.")
        await self._line.send(self._channel.seal(port, payload))
        end_s, silent = time.monotonic() + within_s, True
        while (answer := await self._next_answer(max(0.0, end_s - time.monotonic()))) is not None:
            if answer[0] == port and (number is None or _decoded(answer[1]).get(requests.ID) == number):
                yield answer[1]
                end_s, silent = time.monotonic() + _MORE_S, False
        if silent:
            raise ContactLost("The board does not answer any more.", next_step="go nearer and try again")

    async def _next_answer(self, within_s: float) -> tuple[int, bytes] | None:
        while (phy := await self._line.receive(within_s)) is not None:
            try:
                if self._channel is not None:
                    return self._channel.open(phy)
            except WireError:  # not of this conversation
                continue
        return None


def _key_of(table: tuple[tuple[str, int, object], ...], name: str, value: object) -> int:
    for own, key, shape in table:
        if own == name:
            if not fits(shape, value):
                raise BluetoothError(f"{name} cannot be that.", value=value, reason=f"It is {describe(shape)}.")
            return key
    names = ", ".join(own for own, _key, _shape in table) or "none"
    raise BluetoothError("There is no such name.", value=name, next_step=f"there are: {names}")


def _decoded(payload: bytes) -> dict[Any, Any]:
    try:
        found = cbor.loads(payload)
    except WireError as error:
        raise BluetoothError("The board's answer is malformed.", value=str(error)) from error
    if not isinstance(found, dict):
        raise BluetoothError("The board answers something else than was asked.", value=repr(found)[:80])
    return found


def _accepted(payload: bytes, what: str) -> dict[Any, Any]:
    answer = _decoded(payload)
    status = answer.get(requests.STATUS_KEY)
    if status != requests.DONE:
        word = requests.STATUS[status] if isinstance(status, int) and status < len(requests.STATUS) else str(status)
        raise BluetoothError(f"The board refuses {what}.", value=word)
    return answer

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a board says, and what it means: the causes behind "could not enter raw REPL", told apart by evidence."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Symptom(NamedTuple):
    """A cause: its name, how it shows in what was heard, what is wrong, why, and what to do."""

    name: str
    pattern: re.Pattern[bytes]
    state: str
    reason: str
    next_step: str


SYMPTOMS: Final = (
    Symptom(
        "rom_loader",
        re.compile(rb"waiting for download|DOWNLOAD\(|boot:0x[0-9a-f]+ \(DOWNLOAD"),
        "The board waits in its ROM loader instead of running MicroPython.",
        "GPIO0 was low at reset: the BOOT button is held, or DTR and RTS of the adapter are wired the other way round.",
        "let go of BOOT and press RST; or flash it now: lykta flash PORT",
    ),
    Symptom(
        "no_firmware",
        re.compile(rb"invalid header: 0x|flash read err|No bootable app"),
        "There is no MicroPython on this board.",
        "The ROM found nothing to start: the flash is empty or was erased.",
        "lykta flash PORT --board NAME",
    ),
    Symptom(
        "brown_out",
        re.compile(rb"Brownout detector was triggered"),
        "The board's supply breaks down.",
        "Its own detector said so: the cable or the hub does not give enough current.",
        "use a short cable and a port with its own supply",
    ),
    Symptom(
        "boot_loop",
        re.compile(rb"(rst:0x.*){3}|(MPY: soft reboot.*){3}|(start: unknown fault.*){2}", re.DOTALL),
        "The board restarts again and again.",
        "Something ends it soon after each start: a watchdog, the supply, or an exception in boot.py.",
        "lykta console PORT --reset shows its words; lykta flash PORT --erase makes it new",
    ),
    Symptom(
        "wrong_bytecode",
        re.compile(rb"incompatible \.mpy (file|arch)"),
        "The code on the board was compiled for another version of MicroPython.",
        "Byte-code is loaded by the version that it was made for only.",
        "lykta install PORT puts the right one there; or flash the version that it was made for",
    ),
    Symptom(
        "no_identity",
        re.compile(rb"no identity on this board|copies of the identity are damaged"),
        "The board has firmware and no identity.",
        "Nobody has told it which device it is.",
        "lykta enroll PORT --kind KIND",
    ),
    Symptom(
        "radio_busy",
        re.compile(rb"BUSY time ?-?out|BUSY (\([^)]*\) )?stays high|busy: .*radio", re.IGNORECASE),
        "The radio chip does not answer: its BUSY line stays high.",
        "Wrong pins, a wrong TCXO voltage, or a module without supply.",
        "compare the wiring with: lykta boards show BOARD",
    ),
    Symptom(
        "join_refused",
        re.compile(rb"NonceExhausted|JoinRefused|JoinNonce \d+ was seen before"),
        "The network refuses the board, or the board the network.",
        "A join number was used before: the board was provisioned twice, or its store was put back.",
        "register the board anew and enroll it again: lykta enroll PORT",
    ),
    Symptom(
        "swallowed_break",
        re.compile(rb"KeyboardInterrupt.*", re.DOTALL),
        "A program on the board catches Ctrl-C and goes on.",
        "An 'except:' without a name, or one for BaseException, swallows the interrupt.",
        "press RST and give the command at once; else lykta flash PORT --erase removes the program",
    ),
)


def find(seen: bytes) -> list[Symptom]:
    """The causes that what was heard gives evidence of, the most telling first."""
    return [symptom for symptom in SYMPTOMS if symptom.pattern.search(seen)]


def explain(seen: bytes) -> tuple[str, str, str]:
    """What is wrong, why, and what to do, for a board that did not answer as it should."""
    found = find(seen)
    if found:
        return found[0].state, found[0].reason, found[0].next_step
    if not seen:
        return (
            "The board says nothing at all.",
            "It is off, sleeps, is held in reset by RTS, or this is not its console.",
            "press RST; try the other port of the board; lykta doctor PORT tries the lines DTR and RTS",
        )
    if is_noise(seen):
        return (
            "The board speaks at another speed, or something that is no text.",
            "Most of what came is no readable character.",
            "try --baud 9600, or 74880 for the boot messages of an ESP8266",
        )
    return (
        "The board talks, but does not give its prompt.",
        "A program runs on it that does not listen to Ctrl-C, or it runs no MicroPython.",
        "press RST and give the command at once; lykta flash PORT --erase makes it new",
    )


def is_noise(seen: bytes) -> bool:
    """Is most of it no readable character?"""
    readable = sum(1 for byte in seen if 32 <= byte < 127 or byte in b"\r\n\t")
    return readable < len(seen) * 0.6

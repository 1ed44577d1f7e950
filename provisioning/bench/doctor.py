# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Why a board does not work, by evidence: from the cable over the prompt to what the node says when it starts."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from typing import Final

from boards.build import MPY_VERSION
from provisioning.bench import identity, install, openings, package
from provisioning.bench.board import Board, Facts
from provisioning.bench.errors import BenchError, NoPrompt, NoSuchPort, Shadowed
from provisioning.bench.finding import Finding
from provisioning.bench.line import BAUD, OPEN_TIMEOUT_S, Line
from provisioning.bench.repl import RawRepl
from provisioning.bench.slot_file import SUFFIX
from provisioning.bench.symptoms import SYMPTOMS, Symptom, find, is_noise

LISTEN_S: Final = 6.0
_START: Final = re.compile(rb"rst:0x\w+|ESP-ROM:\w+|MicroPython \S+ on \S+")
"""How a chip, or MicroPython, says that it starts."""
_OWN_WORDS: Final = re.compile(rb"MPY: |MicroPython |Type \"help\(\)|(>>> )+$|>$|OK|raw REPL; CTRL-B to exit")
"""Lines of MicroPython itself."""
_SAME: Final = 3
_BREAKS: Final = 3
_ENTER_AGAIN_S: Final = 4.0
_REST_S: Final = 0.3
_LINES: Final = ((True, True), (False, False), (True, False), (False, True))
_JOINED: Final = re.compile(rb"joined as [0-9a-f]{8}")
_JOINING: Final = re.compile(rb"joining, attempt (\d+)")


def examine(port: str, baud: int = BAUD, board: str | None = None, listen_s: float = LISTEN_S) -> list[Finding]:
    """Look at one board; what runs on it is stopped, and started anew at the end."""
    found: list[Finding] = []
    line = Line(port, baud)
    like = openings.names_like(port)
    try:
        line.open(OPEN_TIMEOUT_S)
    except BenchError as error:
        instead = openings.came_instead(port, like) if isinstance(error, NoSuchPort) else []
        return [_of(_NAMES.get(type(error).__name__, "port"), error), *instead]
    try:
        found.append(Finding("port", "ok", f"{port} opens, and nobody else has it"))
        found += openings.of(line)
        repl = RawRepl(line)
        before = _listened(line, 1.0)
        if not _entered(line, repl, found):
            return found
        found += _greeting(before, before + repl.greeting)
        found += _inside(Board(repl), board)
        repl.soft_reset_and_leave()
        begun_s = time.monotonic()
        heard = _listened(line, listen_s, enough=True)
        said = [*_started(heard), *_restarted(line, repl, heard, time.monotonic() - begun_s)]
        if not said and any(each.name == "no_node" for each in found):
            said = _foreign(heard)
        found += said
    except BenchError as error:
        found.append(_of("line", error))
    finally:
        line.close()
    return list({each.name: each for each in found}.values())


def _entered(line: Line, repl: RawRepl, found: list[Finding]) -> bool:
    begun_s = time.monotonic()
    try:
        repl.enter()
    except NoPrompt as error:
        silent_s = time.monotonic() - begun_s
        if not error.seen and _opened_again(line, repl):
            word = f"no byte for {silent_s:.1f} s after the first opening; the second gave the prompt"
            found.append(openings.opened_twice(word))
            return True
        for dtr, rts in _LINES[1:]:
            line.set_lines(dtr, rts)
            if _tries(repl):
                found.append(
                    Finding(
                        "lines",
                        "fault",
                        "The prompt comes only when DTR and RTS are driven otherwise.",
                        "The adapter's DTR or RTS holds the board in reset, or in its loader.",
                        "use a cable or adapter without these lines, or cut them on the board",
                        f"DTR {int(dtr)}, RTS {int(rts)} works",
                    )
                )
                return True
        symptoms = find(error.seen)
        name = symptoms[0].name if symptoms else "silent" if not error.seen else "no_prompt"
        line.set_lines(True, True)
        if name == "no_prompt" and (word := _answer_to_break(line)):
            found.append(Finding("swallowed_break", "fault", *_of_name("swallowed_break"), evidence=word))
        else:
            found.append(Finding(name, "fault", error.state, error.reason, error.next_step, str(error.value or "")))
        return False
    found.append(Finding("prompt", "ok", "MicroPython gives its raw prompt"))
    return True


def _tries(repl: RawRepl) -> bool:
    try:
        repl.enter(3.0)
    except NoPrompt:
        return False
    return True


def _opened_again(line: Line, repl: RawRepl) -> bool:
    """Whether a port that gave nothing gives the prompt when it is closed and opened. Raises as Line.open."""
    line.close()
    time.sleep(_REST_S)
    line.open(OPEN_TIMEOUT_S)
    return _tries(repl)


def _answer_to_break(line: Line) -> str:
    """What a program says to Ctrl-C each time that it comes, and to nothing else: it catches it, and goes on."""
    line.write(b"\r")  # another shell answers that too
    if line.drain(1.0, 1.0):
        return ""
    answers = []
    for _ in range(_BREAKS):
        line.write(b"\x03")
        answers.append(line.read(2.0) + line.drain(0.4, 2.0))
    return f"{_BREAKS} times Ctrl-C, each answered with: {_last(answers[0])}" if all(answers) else ""


def _of_name(name: str) -> tuple[str, str, str]:
    symptom = next(each for each in SYMPTOMS if each.name == name)
    return symptom.state, symptom.reason, symptom.next_step


def _greeting(before: bytes, seen: bytes) -> list[Finding]:
    """*before*: what it said when its port was opened, and before anybody asked."""
    found = [
        Finding(each.name, "fault", each.state, each.reason, each.next_step, _shown(each, seen))
        for each in find(seen)
        if each.name != "swallowed_break"
    ]
    start = _START.search(before)
    if start is not None:
        found.append(
            Finding(
                "reset_on_open",
                "warning",
                "The board resets when its port is opened.",
                "DTR or RTS is wired to reset; what it was doing is lost each time somebody looks.",
                "open the port with DTR and RTS off, or cut the line on boards that stay connected",
                start[0].decode("ascii", "replace"),
            )
        )
    return found


def _inside(board: Board, name: str | None) -> list[Finding]:
    facts = board.facts()
    found = [Finding("micropython", "ok", f"MicroPython {facts.version_text} on {facts.machine or facts.platform}")]
    if facts.mpy != MPY_VERSION:
        found.append(
            Finding(
                "wrong_bytecode",
                "fault",
                f"It loads .mpy version {facts.mpy}; the node is version {MPY_VERSION}.",
                "Byte-code of another version is refused with 'incompatible .mpy file'.",
                "lykta flash PORT puts the MicroPython that fits on it",
            )
        )
    if facts.size_bytes == 0:
        found.append(
            Finding("no_file_system", "fault", "There is no file system.", "", "lykta flash PORT --erase makes one")
        )
        return found
    found += _node(board, facts, name or facts.board)
    try:
        install.refuse_shadows(board)
    except Shadowed as error:
        found.append(_of("shadowed", error))
    return found


def _node(board: Board, facts: Facts, name: str | None) -> list[Finding]:
    slot = facts.launcher.slot
    if slot is None:
        return [Finding("no_node", "fault", "The node is not installed.", "", "lykta install PORT")]
    found = []
    if not board.tree("/data").keys() & {"/identity.a", "/identity.b"}:
        found.append(Finding("no_identity", "fault", "The board has no identity.", "", "lykta enroll PORT"))
    elif dev_eui := identity.dev_eui(board):
        found.append(Finding("device", "ok", f"it is device {dev_eui}", evidence=dev_eui))
    if slot == "/" or name is None:
        return found
    whole = package.package_for(name, facts.purpose)
    wrong = _wrong(board, slot, whole)
    if facts.launcher.build != whole.build:
        text = f"The board runs build {facts.launcher.build}; this toolkit has {whole.build}."
        found.append(Finding("other_build", "warning", text, "", "lykta install PORT, or lykta update"))
    elif wrong:
        text = f"{len(wrong)} files of the node are damaged or missing."
        found.append(Finding("damaged_node", "fault", text, "", "lykta install PORT", ", ".join(sorted(wrong)[:3])))
    else:
        found.append(Finding("node", "ok", f"build {whole.build} is complete in slot {slot}"))
    return found


def _wrong(board: Board, slot: str, whole: package.Package) -> list[str]:
    """Which files are not those of this toolkit."""
    one_file = board.one_file(slot)
    if one_file is not None:
        return [] if one_file == hashlib.sha256(whole.slot_file).hexdigest() else [slot + SUFFIX]
    there = board.tree(f"/{slot}")
    return [path for path, digest in whole.hashes.items() if there.get(f"/{path}") != digest]


def _started(heard: bytes) -> list[Finding]:
    found = [
        Finding(each.name, "fault", each.state, each.reason, each.next_step, _shown(each, heard))
        for each in find(heard)
        if each.name not in ("swallowed_break", "no_identity")
    ]
    joins = [int(number) for number in _JOINING.findall(heard)]
    if _JOINED.search(heard):
        found.append(Finding("join", "ok", "It joins its network."))
    elif joins:
        found.append(
            Finding(
                "not_joined",
                "warning",
                f"It asks to join, attempt {max(joins)}, and nobody answered while the doctor listened.",
                "On a serial link the gateway answers, and the doctor holds its line.",
                "lykta-gateway quarantine shows refused joins with their reason",
            )
        )
    if b"Traceback" in heard:
        text = "A program on the board ends in an exception."
        ends = re.findall(rb"Traceback.*?\n((?!  )\S.*)", heard, re.DOTALL)
        last = ends[-1].split(b"\n")[0] if ends else heard
        step = "lykta console PORT --reset shows all of it; lykta install PORT puts the node there"
        found.append(Finding("exception", "fault", text, "Nothing runs after it.", step, _last(last)))
    return found


def _foreign(heard: bytes) -> list[Finding]:
    """What a program that is not ours says when it starts: text, or something else."""
    own = b"\n".join(each for each in heard.replace(b"\r", b"").split(b"\n") if each and not _OWN_WORDS.match(each))
    if not own:
        return []
    step = "lykta install PORT puts the node there; lykta console PORT --reset shows all of it"
    if is_noise(own):
        text = "A program on the board sends bytes that are no text."
        return [Finding("noise", "warning", text, "Other tools lose the prompt among them.", step, repr(own[:20]))]
    text = "A program of its own greets on the board's port."
    return [Finding("banner", "warning", text, "Other tools take its words for the board's.", step, _last(own))]


def _restarted(line: Line, repl: RawRepl, heard: bytes, listened_s: float) -> list[Finding]:
    """Whether the chip started by itself while the doctor listened: asked where it says the same again and again."""
    if _repeats(heard) < _SAME or find(heard):
        return []
    try:
        repl.enter(_ENTER_AGAIN_S)
        up_s = int(repl.run("import time\nprint(time.ticks_ms())")) / 1000
        repl.soft_reset_and_leave()
    except (BenchError, ValueError):
        up_s = listened_s
    if up_s >= listened_s:
        text = "It says the same again and again: a program that repeats itself, or starts anew each time."
        step = "lykta console PORT shows whether it starts anew; lykta install PORT puts the node there"
        return [Finding("repeats", "warning", text, "The node does not.", step, _last(heard))]
    word = f"it runs for {up_s:.1f} s after {listened_s:.1f} s of listening; it says again and again: {_last(heard)}"
    return [Finding("boot_loop", "fault", *_of_name("boot_loop"), evidence=word)]


def _listened(line: Line, seconds: float, enough: bool = False) -> bytes:
    """What it says for so long. *enough*: only until it joins, shows a cause, or says the same for the third time."""
    heard = bytearray()
    over_s = time.monotonic() + seconds
    while (left_s := over_s - time.monotonic()) > 0:
        heard += line.read(min(left_s, 0.2))
        if enough and (_JOINED.search(heard) or _telling(bytes(heard)) or _repeats(bytes(heard)) >= _SAME):
            break
    return bytes(heard)


def _telling(heard: bytes) -> bool:
    """Whether a whole line shows a cause."""
    return any(each.name not in ("swallowed_break", "no_identity") for each in find(heard[: heard.rfind(b"\n") + 1]))


def _repeats(heard: bytes) -> int:
    """How often it said what it said most often."""
    said = Counter(each for each in heard.replace(b"\r", b"").split(b"\n")[:-1] if each.strip())
    return max(said.values(), default=0)


def _shown(symptom: Symptom, seen: bytes) -> str:
    """The line that shows a symptom."""
    match = symptom.pattern.search(seen)
    if match is None:
        return _last(seen)
    end = seen.find(b"\n", match.end())
    return _last(seen[seen.rfind(b"\n", 0, match.start()) + 1 : end if end >= 0 else len(seen)])


def _last(seen: bytes) -> str:
    lines = [line for line in seen.replace(b"\r", b"").split(b"\n") if line.strip()]
    return b" | ".join(lines[-3:]).decode("ascii", "backslashreplace")[-300:]


_NAMES: Final[dict[str, str]] = {"PortBusy": "busy", "PortDenied": "denied", "NoSuchPort": "no_port"}


def _of(name: str, error: BenchError) -> Finding:
    value = "" if error.value is None else str(error.value)
    return Finding(name, "fault", error.state, error.reason, error.next_step, value)

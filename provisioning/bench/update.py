# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Update a board that works: the new build is tried at one start, and stays only when it has shown that it works.

Whatever happens in between, the start after that runs the build that ran before: the start that uses the token of the
trial removes it before a line of the new build is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from provisioning.bench import health, install, ports
from provisioning.bench.board import Board, Facts
from provisioning.bench.errors import NoPrompt, ProofFailed
from provisioning.bench.package import TRIAL, Package, package_for
from provisioning.bench.repl import RawRepl
from provisioning.bench.session import Session

HEALTH_S: Final = 15.0


@dataclass(frozen=True)
class Updated:
    """How an update ended. `slot`: where the build that runs from now on lies."""

    build: str
    before: str | None
    slot: str
    sent_bytes: int
    already: bool = False


def update(
    session: Session, board: str | None = None, *, package: Package | None = None, health_s: float = HEALTH_S
) -> Updated:
    """Bring a board to this toolkit's build, with a trial. ProofFailed after a roll-back, and what install raises."""
    facts = session.do(lambda at, _repl: at.facts())
    made = package or package_for(ports.board_name(_port(session, facts), board), facts.purpose)
    install.check_fit(facts, made, made.board)
    if facts.launcher.otherwise is None and facts.launcher.build == made.build:
        done = session.do(lambda at, repl: _kept(at, repl, made))
        return Updated(made.build, made.build, done.slot, done.sent_bytes, already=True)
    done = session.do(lambda at, _repl: install.Installer(at, made).install(at.facts(), trial=True))
    before = facts.launcher.build
    if not done.trial:  # there was nothing to go back to
        session.do(lambda _at, repl: repl.reset())
        return Updated(made.build, before, done.slot, done.sent_bytes)
    problem = session.do(lambda _at, repl: _tried(repl, health_s))
    if problem is None:
        problem = session.do(lambda at, repl: _confirmed(at, repl, made, done.slot))
    if problem is not None:
        _roll_back(session)
        raise problem
    return Updated(made.build, before, done.slot, done.sent_bytes)


def _roll_back(session: Session) -> None:
    """The next start runs what ran before; a board that hangs is started by its watchdog."""
    try:
        session.do(lambda at, repl: _abandoned(at, repl))
    except NoPrompt as error:
        raise ProofFailed(
            "The new build hangs, and takes no Ctrl-C.",
            value=session.port,
            reason="The build that ran before runs again at the next start.",
            next_step="press RST, or wait for the board's watchdog",
        ) from error


def _abandoned(board: Board, repl: RawRepl) -> None:
    board.remove(TRIAL)
    repl.reset()


def _port(session: Session, facts: Facts) -> ports.Port:
    return ports.Port(session.port, facts=facts, boards=ports.candidates(facts, None))


def _kept(board: Board, repl: RawRepl, package: Package) -> install.Installed:
    done = install.Installer(board, package).install(board.facts())
    repl.soft_reset_and_leave()
    return done


def _tried(repl: RawRepl, health_s: float) -> ProofFailed | None:
    repl.reset()
    problem = health.watch(repl.line, health_s)
    if problem is None:
        return None
    return ProofFailed(
        "The new build does not work on this board; the board was rolled back.",
        value=problem,
        reason="A build is kept only when it has run.",
        next_step="nothing is lost: the board runs the build that it ran before",
    )


def _confirmed(board: Board, repl: RawRepl, package: Package, slot: str) -> ProofFailed | None:
    # Asked of the start that was watched: after one more, the old build would be well, and the new one untried.
    runs = repl.run("import sys\nprint(sys.path[0])").strip().decode("ascii", "replace")
    if runs != f"/{slot}":
        return ProofFailed(
            "The board started more than once during the trial, and runs the old build again.",
            value=runs,
            reason="Something ended the new build: a watchdog, a reset, or the power.",
            next_step="give the same command again; the files are there, only the trial is repeated",
        )
    install.Installer(board, package).confirm(slot)
    repl.soft_reset_and_leave()
    return None

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""From a blank board to one that may leave the bench, in one pass that can be interrupted anywhere and taken up again.

Register, install, identity, join and self-test over the cable, final identity, signed record, label. Each step looks at
what is there before it does anything; the ledger only remembers which device a board was to become.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from provisioning.bench import health, identity, install, joined, label, ports, record
from provisioning.bench.board import Board, Facts
from provisioning.bench.errors import NotConfirmed, ProofFailed, WrongBoard
from provisioning.bench.gateway_status import Sighting
from provisioning.bench.joined import Heard
from provisioning.bench.ledger import Ledger
from provisioning.bench.package import Package, Purpose, package_for
from provisioning.bench.proof import BenchNetwork, Proof, prove
from provisioning.bench.repl import RawRepl
from provisioning.bench.session import Session
from provisioning.city import City
from provisioning.errors import NotInstalled, UnknownDevice
from provisioning.images import DEFAULT_INTERVAL_MS, identity_map
from provisioning.registry import Device, Registry
from provisioning.updates import keys
from provisioning.updates.room import Room, room_in

BENCH_INTERVAL_MS: Final = 1000
_HEALTH_S: Final = 30.0
REPLACE: Final = "REPLACE"

Step = Callable[[str, str], None]
"""Called with the name of a step and a remark, as it begins."""
Confirm = Callable[[str, str], bool]
"""Asks a person for a word before something that cannot be undone: what it is, and the word."""


@dataclass(frozen=True)
class Wanted:
    """What a board is to become."""

    kind: str | None = None
    """Of a new device; None where dev_eui names one that is registered."""
    dev_eui: bytes | None = None
    name: str | None = None
    board: str | None = None
    link: str = "serial"
    interval_ms: int = DEFAULT_INTERVAL_MS
    lorawan: Mapping[str, object] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    """Components that this bench does not have, and that may be broken in the self-test."""
    serial: str = ""
    """Serial number on the label."""
    gateway: Path | None = None
    """Configuration or state directory of a gateway that must hear the board before it may leave."""
    heard_s: float = joined.HEARD_S


@dataclass(frozen=True)
class Enrolled:
    """A board that may leave the bench."""

    port: str
    device: Device
    board: str
    build: str
    proof: Proof
    label: label.Label
    seconds: float
    interruptions: int
    heard: Heard | None = None
    """How a gateway heard it, where one was asked."""
    room: Room | None = None
    """For a release from afar."""


@dataclass(frozen=True)
class Bench:
    """What all jobs of a bench share. Thread-safe."""

    city: City
    registry: Registry
    ledger: Ledger
    signer: record.Signer

    @classmethod
    def of(cls, city: City, registry: Registry) -> Bench:
        """The bench of a city, with its ledger and key in the city's directory."""
        return cls(city, registry, Ledger(city.home / record.FOLDER), record.Signer.of(city))

    @property
    def labels(self) -> Path:
        """The folder of the labels' pictures."""
        return self.city.home / record.FOLDER / "labels"


class Enrolment:
    """One board's job."""

    def __init__(
        self, bench: Bench, port: ports.Port, wanted: Wanted, session: Session, *, step: Step, confirm: Confirm
    ) -> None:
        self._bench = bench
        self._port = port
        self._wanted = wanted
        self._session = session
        self._step = step
        self._confirm = confirm
        self._uid = port.path

    def run(self, report: install.Report | None = None) -> Enrolled:
        """Do all of it. Raises what stops it; the same call goes on from there."""
        begun_s = time.monotonic()
        self._step("look", "")
        facts, occupied = self._session.do(_look)
        self._uid = facts.uid or self._port.path
        candidates = ports.candidates(facts, self._port.usb)
        found = replace(self._port, facts=facts, boards=candidates)
        name = ports.board_name(found, self._wanted.board)
        device, ours = self._device()
        if occupied and not ours and not self._confirm(f"{self._port.path} holds the identity of a device", REPLACE):
            raise NotConfirmed(
                "The board holds another identity, and nobody said that it may go.",
                value=self._port.path,
                reason="Its key and its readings that were not delivered yet would be lost.",
                next_step=f"give the command again and type {REPLACE}, or add --yes",
            )
        known = None if self._wanted.gateway is None else joined.before(self._wanted.gateway, device.dev_eui)
        self._step("install", name)
        package = package_for(name, Purpose(device.kind, frozenset({"serial", self._wanted.link})))
        install.check_fit(facts, package, name)
        space = room_in(facts.size_bytes, facts.block_bytes, package)
        if not space.fits:
            self._step("install", f"no room for a release from afar: {space}")
        installed = self._session.do(lambda board, repl: _install(board, package, report))
        self._note("installed", device, board=name, build=installed.build, slot=installed.slot)
        done = self._finish(device, name, ours and occupied)
        tag = self._tag(device)
        heard = self._heard(device, known)
        self._record(device, name, facts, installed, done, heard, space)
        self._step("label", "")
        save_label(self._bench, tag, self._step)
        self._note("done", device)
        seconds = time.monotonic() - begun_s
        port, interruptions = self._port.path, self._session.interruptions
        return Enrolled(port, device, name, installed.build, done, tag, seconds, interruptions, heard, space)

    def _device(self) -> tuple[Device, bool]:
        """The device that this board becomes, and whether the board had been given it before."""
        registry, wanted = self._bench.registry, self._wanted
        known = self._bench.ledger.device_of(self._uid)
        dev_eui = wanted.dev_eui or (None if known is None else bytes.fromhex(known[0]))
        if dev_eui is not None:
            device = registry.device(dev_eui)
            if device is not None and device.state == "registered":
                if wanted.dev_eui is None and wanted.kind not in (None, device.kind):
                    raise WrongBoard(
                        f"This board became a {device.kind} on this bench, not a {wanted.kind}.",
                        value=device.dev_eui.hex(),
                        reason="A board keeps its device, so that a job that was interrupted goes on.",
                        next_step="leave --kind out to go on with it; for another kind first: "
                        f"lykta retire {device.dev_eui.hex()}",
                    )
                return device, known is not None and known[0] == dev_eui.hex()
            if wanted.dev_eui is not None:
                raise UnknownDevice(
                    "No device with this DevEUI is registered.",
                    value=dev_eui.hex(),
                    next_step="lykta devices lists the registered ones; --kind registers a new one",
                )
        if wanted.kind is None:
            raise UnknownDevice(
                "Which device this board is to become is not said.",
                value=self._uid,
                next_step="add --kind street_light for a new one, or --device DEV_EUI for one that is registered",
            )
        self._step("register", wanted.kind)
        device = registry.register_device(wanted.kind, name=wanted.name)
        self._note("registered", device)
        return device, False

    def _identity(self, device: Device, board: str, *, on_bench: bool) -> dict[str, Any]:
        wanted = self._wanted
        return identity_map(
            self._bench.registry,
            device,
            board,
            link="serial" if on_bench else wanted.link,
            interval_ms=BENCH_INTERVAL_MS if on_bench else wanted.interval_ms,
            lorawan={} if on_bench else wanted.lorawan,
        )

    def _finish(self, device: Device, board: str, keep_nonces: bool) -> Proof:
        """Prove the board with an identity for the bench, then give it the one that it leaves with."""
        bench_record = identity.record(self._identity(device, board, on_bench=True), 1)
        final_record = identity.record(self._identity(device, board, on_bench=False), 2)
        key = self._bench.registry.app_key(device.dev_eui)

        def proved(at: Board, repl: RawRepl) -> Proof:
            if not keep_nonces and not identity.holds(at, bench_record):
                identity.forget_everything(at)
            identity.forget_session(at)  # also that of a proof which a lost cable has ended
            identity.write(at, bench_record)
            self._note("identity", device)
            repl.soft_reset_and_leave()
            return prove(repl.line, BenchNetwork(device.dev_eui, key, device.kind))

        self._step("prove", device.dev_eui.hex())
        proof = self._session.do(proved)
        broken = proof.broken(self._wanted.without)
        if broken:
            raise ProofFailed(
                "The board's self-test finds broken parts.",
                value=", ".join(broken),
                reason="What does not work on the bench does not work on the pole.",
                next_step="mend it; for parts that this bench does not have: --without NAME",
            )
        self._note("proved", device, self_test=proof.self_test, dev_nonce=proof.dev_nonce)
        self._step("finish", self._wanted.link)
        vendors = keys.trusted(self._bench.city)
        self._session.do(lambda at, repl: _leave(at, repl, final_record, vendors))
        self._note("finished", device, link=self._wanted.link)
        return proof

    def _heard(self, device: Device, known: Sighting | None) -> Heard | None:
        """Wait until the gateway has its first reading, where one is asked."""
        if self._wanted.gateway is None:
            return None
        self._step("gateway", self._wanted.link)
        heard = joined.wait(self._wanted.gateway, device.dev_eui, known, self._wanted.link, self._wanted.heard_s)
        self._note("heard", device, **heard.as_json())
        return heard

    def _record(
        self,
        device: Device,
        board: str,
        facts: Facts,
        installed: install.Installed,
        proof: Proof,
        heard: Heard | None,
        space: Room,
    ) -> None:
        self._step("record", "")
        facts_kept = {
            "board": board,
            "unique_id": facts.uid,
            "micropython": facts.version_text,
            "machine": facts.machine,
            "build": installed.build,
            "link": self._wanted.link,
            "self_test": proof.self_test,
            "joined_with_dev_nonce": proof.dev_nonce,
            "heard_by_gateway": None if heard is None else heard.as_json(),
            "room_for_releases": space.fits,
        }
        keep_record(self._bench, device, facts_kept)
        self._note("recorded", device)

    def _tag(self, device: Device) -> label.Label:
        tag = label_of(self._bench.city, device, self._wanted.serial)
        _ = tag.code  # a serial number that does not fit is refused before the record is made
        return tag

    def _note(self, step: str, device: Device, **facts: Any) -> None:
        self._bench.ledger.add(self._uid, step, port=self._port.path, dev_eui=device.dev_eui.hex(), **facts)


def label_of(city: City, device: Device, serial: str = "", profile_id: str = label.NO_VENDOR) -> label.Label:
    """The label of a registered device."""
    return label.Label(
        device.dev_eui, device.join_eui, device.name, device.kind, city.config.city.name, serial, profile_id
    )


def keep_record(bench: Bench, device: Device, facts: Mapping[str, Any]) -> None:
    """Sign what a device's board has shown, and put it into the log of the register."""
    envelope = bench.signer.sign(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "by": bench.registry.actor,
            "dev_eui": device.dev_eui.hex(),
            "name": device.name,
            "kind": device.kind,
            **facts,
        }
    )
    record.store(bench.registry, device.dev_eui.hex(), envelope, bench.signer.certificate)


def save_label(bench: Bench, tag: label.Label, step: Step) -> None:
    """Write a label's pictures into the bench's folder."""
    folder = bench.labels
    folder.mkdir(parents=True, exist_ok=True)
    stem = tag.dev_eui.hex()
    (folder / f"{stem}.zpl").write_text(label.zpl(tag), "utf-8")
    try:
        label.save_png(tag, folder / f"{stem}.png")
    except NotInstalled as error:  # the board is done, and lykta label makes the picture at any time
        step("label", f"as ZPL only; {error.next_step}")


def _look(board: Board, _repl: RawRepl) -> tuple[Facts, bool]:
    return board.facts(), identity.present(board)


def _install(board: Board, package: Package, report: install.Report | None) -> install.Installed:
    install.refuse_shadows(board)
    return install.Installer(board, package, report).install(board.facts())


def _leave(board: Board, repl: RawRepl, final: bytes, vendors: list[bytes]) -> None:
    identity.forget_the_bench(board)
    for path in keys.VENDOR_FILES:  # whose updates it takes
        board.put(path, keys.record(vendors))
    identity.write(board, final)
    repl.soft_reset_and_leave()
    problem = health.watch(repl.line, _HEALTH_S)
    if problem is not None:
        raise ProofFailed(
            "The board does not work with its final identity.",
            value=problem,
            reason="It worked over the cable; what differs are its link and its options.",
            next_step="compare the wiring of the radio with: lykta boards show BOARD",
        )

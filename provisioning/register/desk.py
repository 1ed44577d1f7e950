# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a clerk of the register does, each in one call: take in files, show, sign, list what runs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from provisioning import pki, strict_toml
from provisioning.errors import ConfigError, PaperError, UnknownDevice
from provisioning.model.device import DeviceRecord
from provisioning.model.papers import PAPER_TYPES, Paper, Signature, Signed, expiry
from provisioning.private_files import write_new
from provisioning.register import tables
from provisioning.register.papers import add_paper
from provisioning.register.record_text import load
from provisioning.register.registration import Options, Result, device_meant, device_of, register
from provisioning.register.signing import MAX_ENVELOPE_BYTES, opened, sign
from provisioning.secret_refs import load_secret

if TYPE_CHECKING:
    from provisioning.model.stock import Stock
    from provisioning.registry import Device, Registry

PaperType = Literal["waiver", "approval", "dialogue"]
WARN_DAYS: Final = 60
MAX_FILE_BYTES: Final = 1_000_000


def read_record(path: Path) -> DeviceRecord:
    """The record of a TOML file. Raises ConfigError."""
    return strict_toml.loads(_text(path), DeviceRecord, str(path))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ConfigError(f"The file is longer than {MAX_FILE_BYTES} bytes.", value=path)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"The file cannot be read: {error.strerror}.", value=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("The file is not UTF-8 text.", value=f"{path}, byte {error.start + 1}") from error


def register_one(registry: Registry, record: DeviceRecord, options: Options) -> Result:
    """Register one record. Raises what refuses it."""
    with registry.change() as change:
        (result,) = register(change, registry.keys(), [record], options)
        if result.error is not None:
            raise result.error
    return result


def show(registry: Registry, what: str) -> DeviceRecord:
    """The record of an id, DevEUI or name. Raises UnknownDevice, also for two."""
    with registry.reading() as connection:
        return device_of(connection, what)


def speaking(registry: Registry, what: str) -> Device:
    """The device of an id, DevEUI or name that speaks LoRaWAN frames. Raises UnknownDevice, also for two."""
    with registry.reading() as connection:
        device_id, dev_eui, _name = device_meant(connection, what)
    device = None if dev_eui is None else registry.device(bytes.fromhex(dev_eui))
    if device is None:
        raise UnknownDevice(
            "This device has no DevEUI.",
            value=what[:80],
            reason="It speaks no LoRaWAN frames, and a gateway does not know it.",
            next_step=f"lykta show {device_id} says what is known of it; lykta devices lists those that have one",
        )
    return device


@dataclass(frozen=True)
class Line:
    """A device in a list."""

    id: str
    name: str
    kind: str
    owner: str | None
    stage: str
    dev_eui: str | None


def listed(registry: Registry, **wanted: str | None) -> list[Line]:
    """Devices by id, those whose columns (owner, record_kind, stage, batch) are as wanted."""
    table = tables.devices
    query = select(table.c.id, table.c.name, table.c.record_kind, table.c.owner, table.c.stage, table.c.dev_eui)
    for name, value in wanted.items():
        if value is not None:
            query = query.where(table.c[name] == value)
    with registry.reading() as connection:
        return [Line(*row) for row in connection.execute(query.order_by(table.c.id)).all()]


def exported(registry: Registry, **wanted: str | None) -> Iterator[DeviceRecord]:
    """The records of these devices, in the order of their ids."""
    table = tables.devices
    query = select(table.c.record).order_by(table.c.id).execution_options(yield_per=1000)
    for name, value in wanted.items():
        if value is not None:
            query = query.where(table.c[name] == value)
    with registry.reading() as connection, connection.execute(query) as rows:
        for text in rows.scalars():
            yield load(text)


def read_paper(path: Path, kind: PaperType) -> Paper:
    """The paper of a TOML file, not signed yet. Raises ConfigError."""
    return strict_toml.loads(_text(path), PAPER_TYPES[kind], str(path))


def read_signer(path: Path) -> Ed25519PrivateKey:
    """The private key of somebody who signs (PEM, mode 0600). Raises PkiError, SecretError."""
    return pki.load_private_key(load_secret(f"file:{path.absolute()}", path.parent), "signing key")


def new_signer(path: Path) -> str:
    """Make the key of somebody who signs, mode 0600; return the public key as hexadecimal digits."""
    key = Ed25519PrivateKey.generate()
    write_new(path, pki.private_key_pem(key))
    return key.public_key().public_bytes_raw().hex()


def envelope_of(path: Path, kind: PaperType, signer: str | None, key: Path | None) -> bytes:
    """A signed paper: the file itself when it is one (.cose), or the TOML file signed now. Raises PaperError."""
    if path.suffix == ".cose":
        try:
            with path.open("rb") as file:
                return file.read(MAX_ENVELOPE_BYTES + 1)
        except OSError as error:
            raise PaperError(f"The paper cannot be read: {error.strerror}.", value=path) from error
    if signer is None or key is None:
        raise PaperError(
            "This paper is not signed.",
            value=path,
            reason="Who decides signs with a key of her own; the register knows the public one.",
            next_step=f"lykta {kind} add {path} --as ID --key KEY.pem; lykta role list shows the ids",
        )
    return sign(read_paper(path, kind), signer, read_signer(key))


def hand_in(registry: Registry, envelope: bytes, kind: PaperType) -> tuple[Paper, Signature]:
    """Add a signed paper of this type. Raises PaperError, DuplicateEntry."""
    paper, _ = opened(envelope, {})
    if paper.type != kind:
        raise PaperError(f"This is no {kind}.", value=f"{paper.type} {paper.id}", next_step=f"lykta {paper.type} add")
    with registry.change() as change:
        return add_paper(change, envelope)


@dataclass(frozen=True)
class PaperLine:
    """A paper in a list."""

    id: str
    about: str
    signer: str
    expires: datetime
    notes: tuple[str, ...]
    """Why it is stale or soon will be; empty when it is in force."""


def paper_lines(stock: Stock, kind: PaperType, now: datetime | None = None) -> list[PaperLine]:
    """All papers of a type, with what is wrong about them."""
    now = datetime.now(UTC) if now is None else now
    found: Sequence[Signed[Any]] = _all_of(stock, kind)
    return [
        PaperLine(
            each.paper.id,
            _about(each.paper),
            f"{each.signature.signer or '?'} ({each.signature.role or '?'})",
            expiry(each.paper),
            tuple(_notes(stock, each.paper, each.signature, now)),
        )
        for each in found
    ]


def _all_of(stock: Stock, kind: PaperType) -> Sequence[Signed[Any]]:
    if kind == "waiver":
        return stock.waivers()
    return stock.approvals() if kind == "approval" else stock.dialogues()


def _about(paper: Paper) -> str:
    rule = getattr(paper, "rule_id", None)
    devices = paper.scope.device_ids
    scope = paper.scope.batch_id or getattr(paper, "platform_id", None) or ", ".join(devices[:3])
    more = f" and {len(devices) - 3} more" if len(devices) > 3 and not paper.scope.batch_id else ""
    return f"{rule}: {scope}{more}" if rule else f"{scope}{more}"


def _notes(stock: Stock, paper: Paper, signature: Signature, now: datetime) -> Iterator[str]:
    ends = expiry(paper)
    if ends <= now:
        yield f"expired {ends.date()}"
    elif ends - now <= timedelta(days=WARN_DAYS):
        yield f"ends in {(ends - now).days} days"
    if signature.status != "valid":
        yield f"signature {signature.status}"
    missing = [device_id for device_id in paper.scope.device_ids if stock.device(device_id) is None]
    if missing:
        yield f"names devices that are not there: {', '.join(missing[:3])}"
    if paper.scope.batch_id is not None and not stock.devices_of_batch(paper.scope.batch_id):
        yield f"names a batch without devices: {paper.scope.batch_id}"

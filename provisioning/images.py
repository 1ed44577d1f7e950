# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Make and run a board's flash image: the shipped firmware with the identity of one registered device."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from boards import facts, schema
from boards.build import build_tree
from boards.errors import BoardsError
from boards.schema_lorawan import lorawan_options
from boards.virtual.image import make_image
from firmware.node import slots
from firmware.wire import cbor
from provisioning.city import City
from provisioning.errors import AlreadyExists, BoardError, UnknownDevice
from provisioning.identities import urn
from provisioning.presets import record as presets_record
from provisioning.private_files import SECRET_MODE
from provisioning.registry import Device, Registry

DEFAULT_INTERVAL_MS: Final = 60_000
SERIAL_RECEIPT_EVERY: Final = 8
# A gateway may send 1 % of the time: about 1000 receipts an hour for all its devices together.
_LORA_RECEIPT_MS: Final = 3_600_000
_RECEIPT_EVERY: Final = (4, 64)
LINKS: Final = ("serial", "lora", "ble", "lora_ble")
_ON_AIR: Final = ("lora", "lora_ble")
_BLUETOOTH: Final = ("ble", "lora_ble")
QUEUE_BYTES: Final = 65_536
# On mains they can listen all the time. The gateway's [network] class_c has the same default.
_CLASS_C_KINDS: Final = ("street_light",)


def make_board_image(
    city: City,
    dev_eui: bytes,
    image: Path,
    *,
    board: str | None = None,
    link: str = "serial",
    interval_ms: int = DEFAULT_INTERVAL_MS,
    console: bool = True,
    receipt_every: int | None = None,
    lorawan: Mapping[str, object] | None = None,
    settings: Sequence[str] = (),
) -> Device:
    """Build the firmware, add the identity of the device and write the image with mode 0600.

    board: None: the virtual one of the device's kind. receipt_every: readings from one receipt to the next; None: what
    suits the link. lorawan: class, adr, certification and so on (boards/schema_lorawan.py), on top of what the board's
    file and the kind say. settings: what it has from its first start, as NAME=VALUE (provisioning/presets.py).

    Raises UnknownDevice, AlreadyExists where `image` exists, BoardError for everything about boards.
    """
    image = image.absolute()
    _refuse_to_overwrite(image)
    with city.registry() as registry:
        device = registry.device(dev_eui)
        if device is None or device.state != "registered":
            raise UnknownDevice(
                "No device with this DevEUI is registered.",
                value=urn(dev_eui),
                next_step="lykta devices lists the registered ones; lykta register adds one",
            )
        board = board or default_board(device.kind, link)
        identity = identity_map(
            registry,
            device,
            board,
            link=link,
            interval_ms=interval_ms,
            console=console,
            receipt_every=receipt_every,
            lorawan=lorawan,
        )
    preset = presets_record(device.kind, settings)
    # The key is on disk in clear only inside a directory of mode 0700, and in the image.
    with tempfile.TemporaryDirectory(prefix=".lykta-image-", dir=image.parent) as folder:
        _build(Path(folder), board, identity, image, preset)
    return device


def identity_map(
    registry: Registry,
    device: Device,
    board: str,
    *,
    link: str = "serial",
    interval_ms: int = DEFAULT_INTERVAL_MS,
    console: bool = True,
    receipt_every: int | None = None,
    lorawan: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """What a board is told about itself, its AppKey among it (firmware/node/config.py). Raises BoardError."""
    return {
        "dev_eui": device.dev_eui,
        "join_eui": device.join_eui,
        "app_key": registry.app_key(device.dev_eui),
        "kind": device.kind,
        "link": link,
        "console": console,
        "interval_ms": interval_ms,
        "receipt_every": receipt_every or default_receipt_every(link, interval_ms),
        "queue_bytes": QUEUE_BYTES,
        "board": board_map(board, link, device.kind, lorawan or {}),
    }


def _refuse_to_overwrite(image: Path) -> None:
    if os.path.lexists(image):
        raise AlreadyExists(
            "This image exists already and is never overwritten.",
            value=image,
            reason="It may hold readings that were not delivered yet.",
            next_step="choose another file",
        )


def exec_board(image: Path, port: Path, extra: list[str] | None = None) -> NoReturn:
    """Become the virtual board of this image: this process does not return."""
    if not image.is_file():
        raise BoardError("There is no such image.", value=image, next_step="lykta board make DEV_EUI IMAGE")
    os.execv(sys.executable, board_command(image, port, extra))  # noqa: S606  # an argument list, no shell


def board_command(image: Path, port: Path, extra: list[str] | None = None) -> list[str]:
    """The command that runs a virtual board."""
    return [sys.executable, "-m", "boards.virtual", "run", str(image), "--port", str(port), *(extra or [])]


def _build(folder: Path, board: str, identity: dict[str, object], image: Path, preset: bytes | None) -> None:
    tree, staged = folder / "tree", folder / "image"
    record = slots.pack(1, cbor.dumps(identity))
    files = {f"data/identity.{slot}": record for slot in ("a", "b")}
    if preset is not None:
        files["data/settings.a"] = preset
    try:
        build_tree(tree, board)
        make_image(staged, tree, files, board)
    except (BoardsError, OSError) as error:
        raise BoardError(f"The image cannot be made: {error}", value=image) from error
    staged.chmod(SECRET_MODE)
    try:
        os.link(staged, image)  # unlike rename(), refuses a name that was taken in the meantime
    except OSError as error:
        raise BoardError(f"The image cannot be put in its place: {error.strerror}.", value=image) from error


def default_board(kind: str, link: str = "serial") -> str:
    """Return the virtual board of a kind: with its sensors, where there is such a file, else the plain one."""
    own = f"virtual_{kind}"
    if own in schema.names():
        return own
    return "virtual_ble" if link in _BLUETOOTH else "virtual"


def default_receipt_every(link: str, interval_ms: int) -> int:
    """Return after how many readings a device asks for a receipt: over LoRa about once an hour."""
    if link not in _ON_AIR:
        return SERIAL_RECEIPT_EVERY
    low, high = _RECEIPT_EVERY
    return max(low, min(high, _LORA_RECEIPT_MS // interval_ms))


def board_map(board: str, link: str, kind: str, lorawan: Mapping[str, object]) -> dict[str, Any]:
    """The map of pins and buses that a board is given. Raises BoardError, also for a role that does not fit."""
    if board not in schema.names():
        raise BoardError(
            "This board is not known.", value=repr(board), next_step=f"choose one of: {', '.join(schema.names())}"
        )
    if link not in LINKS:
        raise BoardError("This link is not known.", value=repr(link), next_step=f"choose one of: {', '.join(LINKS)}")
    try:
        loaded = schema.load_board(board)
    except BoardsError as error:
        raise BoardError(f"The file of this board cannot be used: {error}", value=board) from error
    node = loaded.node
    if (reason := facts.refusal(board, loaded.facts, kind)) is not None:
        raise BoardError(
            f"This board cannot run this role: {reason}.", value=board, next_step="choose another --board: lykta boards"
        )
    without = loaded.virtual is not None and all(model.model != "ble" for model in loaded.models)
    if link in _BLUETOOTH and without:
        raise BoardError("This board has no Bluetooth.", value=board, next_step="choose another --board or --link")
    if link not in _ON_AIR:
        if lorawan:
            raise BoardError(
                "These options are LoRaWAN's.", value=", ".join(lorawan), next_step=f"add --link lora; this is {link}"
            )
        return {name: value for name, value in node.as_map().items() if name != "lorawan"}
    if node.radio is None:
        raise BoardError("This board has no LoRa radio.", value=board, next_step="choose another --board or --link")
    by_kind = {"class": "C"} if kind in _CLASS_C_KINDS else {"class": "A"}
    try:
        options = lorawan_options(node.lorawan, **{**by_kind, **lorawan})
    except BoardsError as error:
        raise BoardError(f"These options cannot be: {error}", value=board) from error
    return {**node.as_map(), "lorawan": options}

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Small releases for tests: a key, a build that runs, and one that comes."""

import random
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from boards.schema import BoardFile
from boards.virtual.image import make_image
from firmware.node import slots
from firmware.wire import cbor, update
from provisioning.bench.package import Package
from provisioning.updates import bundle, release

KEY = ec.derive_private_key(0x6C796B7461, ec.SECP256R1())


def package(version: int, files: int = 3) -> Package:
    """Some of its files are the same in every version."""
    content = {
        f"firmware/part{n}.mpy": b"M\x06\x00\x1f" + random.Random(n).randbytes(500 * n + 40) for n in range(files)
    }
    content["firmware/node/changed.mpy"] = b"M\x06\x00\x1f" + f"version {version}".encode() * 150
    content[f"firmware/only{version}.mpy"] = b"M\x06\x00\x1fx"
    boot = b"# old boot\n" if version == 1 else b"# new boot\n"
    return Package("virtual", content, boot, b"print('runs')\n")


def on_disk(folder: Path, old: Package, new: release.Release, installed: Package | None = None) -> Path:
    """The folder that tests/upy/update_flash.py reads; *installed*: what is in *new*."""
    folder.mkdir(exist_ok=True)
    (folder / "offer").write_bytes(new.signed)
    (folder / "bundle").write_bytes(new.bundle)
    (folder / "vendor").write_bytes(release.public_bytes(KEY.public_key()))
    (folder / "slot.a").write_bytes(old.slot_file)
    (folder / "main.a").write_bytes(bundle.launcher(old).replace(update.SLOT, b"a"))
    if installed is not None:
        (folder / "slot.b").write_bytes(installed.slot_file)
    files = {**old.content, "manifest": old.manifest, "/boot.py": old.boot, "/main.py": old.launcher("a")}
    for path, data in files.items():
        (folder / ("old." + path.replace("/", "!"))).write_bytes(data)
    return folder


def board_image(
    folder: Path,
    node: Package,
    identity: dict[str, bytes],
    board: str | BoardFile = "virtual",
    key: ec.EllipticCurvePrivateKey = KEY,
) -> Path:
    """A virtual board whose slot a holds a node, as `lykta enroll` leaves it, with the key of the releases."""
    tree = folder / "tree"
    files = {f"a/{path}": data for path, data in node.content.items()}
    files |= {"a/manifest": node.manifest, "boot.py": node.boot, "main.py": node.launcher("a")}
    for path, data in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(data)
    vendor = slots.pack(1, cbor.dumps([release.public_bytes(key.public_key())]))
    image = folder / "image"
    make_image(image, tree, {**identity, "/data/vendor.a": vendor, "/data/vendor.b": vendor}, board)
    return image

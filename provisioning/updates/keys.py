# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The keys of a city's releases: the private one where releases are signed, the public ones where boards are enrolled.

They lie in `bench/` of the city's directory. A board gets all public keys that are there: two while one takes over from
the other. A laptop that enrols needs the public files only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.node import slots
from firmware.wire import cbor, update
from provisioning.bench.record import FOLDER
from provisioning.city import City
from provisioning.errors import PkiError
from provisioning.private_files import PUBLIC_MODE, write_new
from provisioning.updates import release

KEY: Final = "release.key.pem"
PUBLIC: Final = "release.pub.pem"
PATTERN: Final = "release*.pub.pem"
VENDOR_FILES: Final = ("/data/vendor.a", "/data/vendor.b")
MAX_KEYS: Final = 4
_NO_KEY: Final = bytes(64)


def create(city: City) -> ec.EllipticCurvePublicKey:
    """Make the key pair. Raises AlreadyExists."""
    folder = city.home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_new(folder / KEY, pem)
    public = key.public_key()
    text = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_new(folder / PUBLIC, text, PUBLIC_MODE)
    return public


def signing(city: City) -> ec.EllipticCurvePrivateKey:
    """The key that signs. Raises PkiError."""
    return release.load_key(city.home / FOLDER / KEY)


def trusted(city: City) -> list[bytes]:
    """The public keys that boards of this city trust, 64 bytes each; none before `lykta update key`."""
    found = []
    for path in sorted((city.home / FOLDER).glob(PATTERN)):
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            raise PkiError("A public release key cannot be read.", value=path) from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise PkiError("A public release key is not a P-256 key.", value=path)
        found.append(release.public_bytes(key))
    if len(found) > MAX_KEYS:
        raise PkiError(f"A board holds {MAX_KEYS} release keys at most.", value=len(found))
    return found


def checked(city: City, file: Path) -> release.Release:
    """Read a release and check its signature by the city's keys. Raises BoardError, PkiError."""
    found = release.read(file.read_bytes(), str(file))
    known = {release.sha256(each)[: update.KEY_ID_BYTES]: each for each in trusted(city)}
    release.check(found, known.get(update.parse(found.signed)[1], _NO_KEY))
    return found


def record(keys: list[bytes]) -> bytes:
    """The keys as a board's store holds them."""
    return slots.pack(1, cbor.dumps(keys))

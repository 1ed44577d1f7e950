# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A release: a bundle with its signed manifest, in one file, and the keys that sign.

The file (`.lyktaup`) is a CBOR array: the manifest as it goes to the board, and the bundle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cbor2
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from boards.build import MPY_VERSION
from firmware.wire import update
from firmware.wire.errors import Malformed
from provisioning.bench.package import Package
from provisioning.errors import BoardError, PkiError
from provisioning.updates import bundle as bundles

HEALTH_S: Final = 900
SUFFIX: Final = ".lyktaup"
_COORDINATE: Final = 32
_MAX_FILE: Final = update.MAX_BUNDLE + 2 * update.MAX_MANIFEST


@dataclass(frozen=True)
class Release:
    """What boards get. `signed`: the manifest in its COSE_Sign1."""

    signed: bytes
    bundle: bytes

    @property
    def manifest(self) -> dict[int, Any]:
        """The manifest's map; whether its signature counts is asked by `check`."""
        return update.manifest(update.parse(self.signed)[2])

    @property
    def session(self) -> bytes:
        """By which blocks name it."""
        return hashlib.sha256(self.signed).digest()[:2]

    @property
    def name(self) -> str:
        """16 hexadecimal digits: the build."""
        build: bytes = self.manifest[update.M_BUILD]
        return build.hex()

    @property
    def facts(self) -> dict[str, Any]:
        """What a person chooses by: build, sequence number, board, kind, links, size of the bundle in bytes."""
        manifest = self.manifest
        return {
            "build": self.name,
            "sequence": manifest[update.M_SEQUENCE],
            "board": manifest[update.M_BOARD],
            "kind": manifest[update.M_KIND],
            "links": manifest[update.M_LINKS],
            "bytes": manifest[update.M_SIZE],
        }

    def write(self) -> bytes:
        """The file."""
        return cbor2.dumps([self.signed, self.bundle])


@dataclass(frozen=True)
class Base:
    """The build that boards run before, whose files are not sent again. `hashes`: SHA-256 in hexadecimal by path."""

    build: bytes
    hashes: Mapping[str, str]

    @classmethod
    def of(cls, package: Package) -> Base:
        """What a package puts on a board."""
        return cls(bytes.fromhex(package.build), package.hashes)

    @classmethod
    def of_release(cls, release: Release) -> Base:
        """What a release leaves on a board."""
        listed = bundles.listed(release.bundle)
        return cls(release.manifest[update.M_BUILD], {path: digest for path, (_, digest, _) in listed.items()})


def make(
    package: Package,
    sequence: int,
    key: ec.EllipticCurvePrivateKey,
    *,
    base: Base | None = None,
    health_s: int = HEALTH_S,
) -> Release:
    """Sign a package as a release. Raises BoardError."""
    bundle = bundles.pack(package, None if base is None else base.hashes)
    purpose = package.made_for
    content: dict[int, Any] = {
        update.M_FORMAT: update.FORMAT,
        update.M_SEQUENCE: sequence,
        update.M_BOARD: package.board,
        update.M_KIND: "" if purpose is None else purpose.kind,
        update.M_LINKS: "" if purpose is None else ",".join(sorted(purpose.links)),
        update.M_MPY: MPY_VERSION,
        update.M_BUILD: bytes.fromhex(package.build),
        update.M_SIZE: len(bundle),
        update.M_SHA256: hashlib.sha256(bundle).digest(),
        update.M_HEALTH_S: health_s,
    }
    if base is not None:
        content[update.M_BASE] = base.build
    return Release(sign(content, key), bundle)


def sign(content: dict[int, Any], key: ec.EllipticCurvePrivateKey) -> bytes:
    """The signed manifest of these values. Raises BoardError for values that no board takes."""
    payload = cbor2.dumps(content, canonical=True)
    try:
        update.manifest(payload)
    except Malformed as error:
        raise BoardError(f"No board would take this release: {error}.") from error
    header = update.protected(key_id(key.public_key()))
    r, s = decode_dss_signature(key.sign(update.to_be_signed(header, payload), ec.ECDSA(SHA256())))
    signature = r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")
    return update.message(header, payload, signature)


def read(data: bytes, source: str) -> Release:
    """Read a release's file. Raises BoardError; whether its signature counts is asked by `check`."""
    release = _parts(data)
    if release is None:
        raise BoardError("This is no release.", value=source, next_step="lykta update sign makes one")
    try:
        manifest = release.manifest
    except Malformed as error:
        raise BoardError(f"This is no release: {error}.", value=source) from error
    if len(release.bundle) != manifest[update.M_SIZE] or sha256(release.bundle) != manifest[update.M_SHA256]:
        raise BoardError(
            "The bundle of this release is not the one of its manifest.",
            value=source,
            reason="The file is damaged, or was changed after it was signed.",
            next_step="get it again from who made it",
        )
    bundles.listed(release.bundle)
    return release


def _parts(data: bytes) -> Release | None:
    try:
        item = cbor2.loads(data) if len(data) <= _MAX_FILE else None
    except cbor2.CBORDecodeError:
        return None
    if isinstance(item, list) and len(item) == 2 and all(isinstance(each, bytes) for each in item):
        return Release(*item)
    return None


def check(release: Release, public: bytes) -> None:
    """Raise PkiError unless the release is signed by this key (64 bytes, x | y)."""
    header, kid, payload, signature = update.parse(release.signed)
    known = sha256(public)[: update.KEY_ID_BYTES] == kid
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(public[:_COORDINATE], "big"), int.from_bytes(public[_COORDINATE:], "big"), ec.SECP256R1()
    )
    half = len(signature) // 2
    der = encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
    try:
        if not known:
            raise _foreign(kid)
        numbers.public_key().verify(der, update.to_be_signed(header, payload), ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise _foreign(kid) from error


def _foreign(kid: bytes) -> PkiError:
    return PkiError(
        "The release is not signed by this city's release key.",
        value=kid.hex(),
        reason="No board that was enrolled here would take it.",
        next_step="lykta update sign, in the directory of the city whose boards it is for",
    )


def public_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """x | y, 32 bytes each: as boards hold it."""
    numbers = key.public_numbers()
    return numbers.x.to_bytes(_COORDINATE, "big") + numbers.y.to_bytes(_COORDINATE, "big")


def key_id(key: ec.EllipticCurvePublicKey) -> bytes:
    """By which a manifest names its key."""
    return sha256(public_bytes(key))[: update.KEY_ID_BYTES]


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a release key from PEM. Raises PkiError, which never holds the key."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PkiError("The release key cannot be read.", value=path, next_step="lykta update key makes one") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PkiError("The release key is not a P-256 key.", value=path)
    return key


def sha256(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What `lykta receive` does: feed a durable consumer from a broker, and answer gateways with signed receipts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from consumer.errors import ConsumerError
from consumer.ledger import Ledger, open_ledger
from consumer.ledger.day_files import DayFiles
from consumer.ledger.receiver import Receiver
from consumer.receipts import ReceiptSigner
from consumer.report import VerifiedReading
from provisioning import pki
from provisioning.errors import ConfigError, ReceiverError
from provisioning.private_files import PUBLIC_MODE, make_directory, write_new
from provisioning.subscriber import Handlers

KEY_LIFE: Final = timedelta(days=5 * 365)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_URN: Final = "urn:dev:mac:"


def open_store(url: str) -> Ledger:
    """Open or make the database of received readings. Raises ReceiverError."""
    try:
        return open_ledger(url)
    except ConsumerError as error:
        raise ReceiverError(
            f"The store of received readings cannot be used: {error}",
            next_step="give --store sqlite:FILE or --store postgresql://user@host/database",
        ) from error


def open_day_files(ledger: Ledger, folder: Path) -> DayFiles:
    """Open the folder of JSON Lines. Raises ReceiverError."""
    try:
        return DayFiles(ledger, folder)
    except ConsumerError as error:
        raise ReceiverError(str(error), value=folder) from error


def receipt_signer(platform: str, folder: Path) -> tuple[ReceiptSigner, Path]:
    """The platform's key and certificate in `folder`, made at the first use. Raises ConfigError, PkiError.

    The certificate signs itself: a gateway takes receipts from the certificates that its configuration names.
    """
    if not _NAME.fullmatch(platform):
        raise ConfigError(
            "This is no name for a platform.", value=platform, reason="1 to 63 letters, digits, dots, - and _ are one."
        )
    key_path, certificate_path = folder / f"{platform}.key.pem", folder / f"{platform}.cert.pem"
    if not key_path.exists():
        make_directory(folder)
        key = pki.new_key()
        write_new(key_path, pki.private_key_pem(key))
    key = pki.load_private_key(_read(key_path), "platform's key")
    if not certificate_path.exists():
        write_new(certificate_path, pki.certificate_pem(_self_signed(platform, key)), PUBLIC_MODE)
    certificate = pki.load_certificate(_read(certificate_path), "platform's certificate")
    try:
        return ReceiptSigner(platform, key, certificate), certificate_path
    except ConsumerError as error:
        raise ConfigError(f"Receipts cannot be signed: {error}", value=certificate_path) from error


class Reception:
    """One run. `on_reading` gets (gateway URN, reading) for each new durable reading, `on_problem` a text."""

    def __init__(
        self,
        receiver: Receiver,
        files: DayFiles | None,
        on_reading: Callable[[str, VerifiedReading], None],
        on_problem: Callable[[str], None],
    ) -> None:
        self.readings = self.duplicates = self.redelivered = self.receipts = 0
        self.problems = 0
        self._receiver = receiver
        self._files = files
        self._on_reading = on_reading
        self._on_problem = on_problem

    def handlers(self, status: Callable[[str], None]) -> Handlers:
        """How a subscriber feeds this reception."""
        return Handlers(
            message=self._receiver.message,
            certificate=self._receiver.certificate,
            status=status,
            commit=self.commit,
            outgoing=self.outgoing,
        )

    def commit(self) -> None:
        """Make durable what came. Raises OSError: then nothing of it is, and it has to come again."""
        if not self._receiver.pending:
            return
        try:
            done = self._receiver.commit()
            if self._files is not None:
                self._files.write()
        finally:
            self._receiver.forget()
        self.readings += len(done.readings)
        self.duplicates += done.duplicates
        self.redelivered += done.redelivered
        self.problems += len(done.problems)
        for problem in done.problems:
            self._on_problem(problem)
        for gateway, reading in done.readings:
            self._on_reading(gateway, reading)

    def outgoing(self) -> list[tuple[str, bytes]]:
        """The receipts to publish now: topic below the prefix, and message."""
        given = self._receiver.receipts()
        self.receipts += len(given)
        name = self._receiver.platform
        return [
            (f"{gateway.removeprefix(_URN)}/receipts/{name}/{stream_id.hex()}", message)
            for gateway, stream_id, message in given
        ]

    def summary(self) -> dict[str, int]:
        """What happened, as numbers."""
        names = ("readings", "duplicates", "redelivered", "receipts", "problems")
        return {name: int(getattr(self, name)) for name in names}


def _self_signed(platform: str, key: Ed25519PrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, platform)])
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - pki.BACKDATE)
        .not_valid_after(now + KEY_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    return builder.sign(key, algorithm=None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A city's directory: lykta.toml, the register, the key-encryption key and the certificate authority.

lykta.toml   where the rest is; its presence makes a directory a city
register.db  devices and gateways
kek          mode 0600
ca/          ca.key.pem (mode 0600), ca.cert.pem
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field

from provisioning import pki, strict_toml
from provisioning.database import resolve_url
from provisioning.errors import AlreadyExists, ConfigError, NotACity, PkiError, ProvisioningError
from provisioning.keys import new_kek
from provisioning.private_files import PUBLIC_MODE, make_directory, write_new
from provisioning.registry import Registry
from provisioning.secret_refs import load_secret

CONFIG_NAME: Final = "lykta.toml"
REGISTER_NAME: Final = "register.db"
KEK_NAME: Final = "kek"
CA_NAME: Final = "ca"
_STAGING: Final = ".lykta-init"
_MAX_CITY_NAME: Final = 64  # the longest organisation name in a certificate (RFC 5280, A.1)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CitySection(_Section):
    """Whose devices these are."""

    name: str = Field(min_length=1, max_length=_MAX_CITY_NAME)


class RegisterSection(_Section):
    """Where the register is and which key opens it."""

    url: str
    kek: str
    """Reference to the key-encryption key."""
    password: str | None = None
    """Reference to the password of the database's user; a password never stands in the URL."""


class CaSection(_Section):
    """The certificate authority of the city."""

    key: str
    """Reference to the private key (PEM)."""
    certificate: str
    """Path of the certificate (PEM)."""


class CityConfig(_Section):
    """lykta.toml. Relative paths are relative to the file."""

    city: CitySection
    register_: RegisterSection = Field(alias="register")
    ca: CaSection


@dataclass(frozen=True)
class City:
    """An opened city directory."""

    home: Path
    config: CityConfig

    @classmethod
    def open(cls, home: Path) -> City:
        """Read lykta.toml in `home`. Raises NotACity where there is none."""
        home = home.absolute()
        path = home / CONFIG_NAME
        if not path.is_file():
            raise NotACity(
                f"There is no {CONFIG_NAME} here: this directory holds no city.",
                value=home,
                next_step="go to the directory of your city or name it with -C DIR; lykta init makes a new one",
            )
        return cls(home, strict_toml.load(path, CityConfig))

    def registry(self) -> Registry:
        """Open the register; the caller closes it."""
        return Registry.open(self.config.register_.url, self.kek(), base=self.home, password=self.password())

    def password(self) -> str | None:
        """The password of the register's database, None where it needs none."""
        ref = self.config.register_.password
        return None if ref is None else load_secret(ref, self.home).decode(errors="replace")

    def kek(self) -> bytes:
        """The key-encryption key."""
        return load_secret(self.config.register_.kek, self.home)

    def ca_certificate(self) -> x509.Certificate:
        """The certificate of the city's authority."""
        return pki.load_certificate(self.ca_pem(), "CA certificate")

    def ca_pem(self) -> bytes:
        """The certificate of the city's authority as PEM."""
        path = self.home / self.config.ca.certificate
        try:
            return path.read_bytes()
        except OSError as error:
            raise PkiError(f"The CA certificate cannot be read: {error.strerror}.", value=path) from error

    def ca_key(self) -> Ed25519PrivateKey:
        """The private key of the city's authority."""
        return pki.load_private_key(load_secret(self.config.ca.key, self.home), "CA key")


def create_city(home: Path, name: str, *, url: str | None = None, password: str | None = None) -> City:
    """Make a new city in `home`: all of it or nothing. Refuses a directory that holds any part of one.

    The register is a file, or the empty database at `url`; `password` refers to that of its user.
    """
    if not name.strip() or len(name) > _MAX_CITY_NAME or not name.isprintable():
        raise ConfigError(
            f"A city's name is 1 to {_MAX_CITY_NAME} printable characters.",
            value=repr(name[:80]),
            next_step="lykta init --city NAME",
        )
    home = home.absolute()
    make_directory(home)
    _refuse_existing(home)
    staging = home / _STAGING
    try:
        staging.mkdir(mode=0o700)  # also the lock: of two at once, one makes the city
    except OSError as error:
        raise AlreadyExists(
            "Another lykta init is running here, or one was interrupted.",
            value=staging,
            next_step=f"if none is running: rm -r {staging}",
        ) from error
    try:
        _fill(staging, name, home, url, password)
        _refuse_existing(home)
        for part in (KEK_NAME, CA_NAME, REGISTER_NAME, CONFIG_NAME):  # lykta.toml last: then it is a city
            if (staging / part).exists():
                (staging / part).rename(home / part)
    finally:
        shutil.rmtree(staging)
    return City.open(home)


def _refuse_existing(home: Path) -> None:
    for part in (CONFIG_NAME, KEK_NAME, CA_NAME, REGISTER_NAME):
        if os.path.lexists(home / part):
            raise AlreadyExists(
                "This directory already holds a city, or a part of one. Nothing was changed.",
                value=home / part,
                reason="A new key would make every registered device unreadable.",
                next_step="lykta init DIR with another directory",
            )


def _fill(staging: Path, name: str, home: Path, url: str | None, password: str | None) -> None:
    kek = new_kek()
    write_new(staging / KEK_NAME, kek)
    ca_directory = staging / CA_NAME
    make_directory(ca_directory, 0o700)
    key = pki.new_key()
    write_new(ca_directory / "ca.key.pem", pki.private_key_pem(key))
    write_new(ca_directory / "ca.cert.pem", pki.certificate_pem(pki.create_ca(key, name)), PUBLIC_MODE)
    if url is not None:
        _refuse_password_in(url)
        write_new(staging / CONFIG_NAME, _config_text(name, url, password).encode(), PUBLIC_MODE)
        secret = None if password is None else load_secret(password, home).decode(errors="replace")
        # Last, since it is the only part that is not in this directory.
        Registry.create(url, kek, city=name, base=staging, password=secret).close()
        return
    write_new(staging / REGISTER_NAME, b"")  # an empty file is an empty SQLite database, here with mode 0600
    Registry.create(f"sqlite:///{REGISTER_NAME}", kek, city=name, base=staging).close()
    leftovers = [path.name for path in staging.glob(f"{REGISTER_NAME}-*")]
    if leftovers:
        raise ProvisioningError("The new register was not closed in full.", value=", ".join(leftovers))
    write_new(staging / CONFIG_NAME, _config_text(name).encode(), PUBLIC_MODE)


def _refuse_password_in(url: str) -> None:
    address = resolve_url(url)
    if address.password is not None or address.get_backend_name() == "sqlite":
        raise ConfigError(
            "This is not the address of a database server without a password in it.",
            value=address.render_as_string(hide_password=True),
            reason="lykta.toml is copied and read by many; a password in it is no secret.",
            next_step="write postgresql://USER@HOST/DATABASE, and --password-ref file:PATH or env:NAME",
        )


def _config_text(name: str, url: str | None = None, password: str | None = None) -> str:
    address = toml_string(url or f"sqlite:///{REGISTER_NAME}")
    secret = "" if password is None else f"password = {toml_string(password)}\n"
    return f"""# The city's provisioning. Relative paths are relative to this file. Secrets are references only:
# "file:PATH", "env:NAME" or "credential:NAME".
[city]
name = {toml_string(name)}

[register]
url = {address}
{secret}kek = "file:{KEK_NAME}"

[ca]
key = "file:{CA_NAME}/ca.key.pem"
certificate = "{CA_NAME}/ca.cert.pem"
"""


def toml_string(text: str) -> str:
    """`text` as a TOML basic string: JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Secrets are never in a configuration file: only references to where they are kept.

A reference is `file:PATH`, `env:NAME` or `credential:NAME` (a systemd credential, systemd.exec(5)).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from provisioning.errors import SecretError

SCHEMES = ("file", "env", "credential")
MAX_SECRET_BYTES = 65536


def load_secret(ref: str, base: Path) -> bytes:
    """Fetch the secret that `ref` points to, without the line end that editors add.

    A relative `file:` path is relative to `base`, the directory of the configuration file.
    Raises SecretError; the message never holds the secret.
    """
    scheme, separator, name = ref.partition(":")
    if not separator or scheme not in SCHEMES or not name:
        raise SecretError(
            "This is not a reference to a secret.",
            value=_shown(scheme, separator),
            reason="Configuration files are copied and read by many; a secret in one is no secret.",
            next_step="write file:PATH, env:NAME or credential:NAME",
        )
    if scheme == "env":
        secret = _from_environment(name)
    elif scheme == "credential":
        secret = _from_credential(name)
    else:
        secret = _from_file(base / name, ref)
    secret = secret.rstrip(b"\r\n")
    if not secret:
        raise SecretError("The secret is empty.", value=ref, next_step=f"put the secret where {ref} points")
    return secret


def _shown(scheme: str, separator: str) -> str:
    # The whole text may be the secret itself, pasted in by mistake.
    return f"{scheme}:…" if separator and scheme in SCHEMES else "a text without file:, env: or credential: before it"


def _from_environment(name: str) -> bytes:
    value = os.environ.get(name)
    if value is None:
        raise SecretError(
            "The environment variable of this secret is not set.",
            value=f"env:{name}",
            next_step=f"set {name} in the environment of this process",
        )
    return os.fsencode(value)


def _from_credential(name: str) -> bytes:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory is None:
        raise SecretError(
            "There are no systemd credentials here: CREDENTIALS_DIRECTORY is not set.",
            value=f"credential:{name}",
            next_step=f"add LoadCredentialEncrypted={name} to the unit, or use file:PATH",
        )
    if "/" in name or name in {".", ".."}:
        raise SecretError("The name of a credential holds no path.", value=f"credential:{name}")
    # systemd keeps these files safe itself; their mode is not ours to judge.
    return _read(Path(directory) / name, f"credential:{name}")


def _from_file(path: Path, ref: str) -> bytes:
    secret = _read(path, ref)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise SecretError(
            "The file of this secret is open to other users.",
            value=f"{path} has mode {mode:04o}",
            reason="Whoever can read it can read every device key of the city.",
            next_step=f"chmod 600 {path}",
        )
    return secret


def _read(path: Path, ref: str) -> bytes:
    try:
        with path.open("rb") as file:
            secret = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise SecretError(
            f"The secret cannot be read: {error.strerror}.",
            value=f"{ref} -> {path}",
            next_step="check the path and who may read it",
        ) from error
    if len(secret) > MAX_SECRET_BYTES:
        raise SecretError(f"The secret is longer than {MAX_SECRET_BYTES} bytes.", value=ref)
    return secret

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""TLS to a platform: its table in the configuration, and what becomes of it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, model_validator

from gateway.errors import PlatformError

if TYPE_CHECKING:
    from pathlib import Path


class TlsSettings(BaseModel):
    """``[platforms.tls]``: PEM files. Without ``ca`` the system's authorities count."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together: give both or neither")
        return self


def tls_context(name: str, tls: TlsSettings, base: Path) -> ssl.SSLContext:
    """Return what TLS is to be like. Raises PlatformError for files that do not load."""
    try:
        made = ssl.create_default_context(cafile=None if tls.ca is None else str(base / tls.ca))
        if tls.cert is not None and tls.key is not None:
            made.load_cert_chain(base / tls.cert, base / tls.key)
    except OSError as error:  # ssl.SSLError is one
        raise PlatformError(f"{name}: the files in [platforms.tls] do not load: {error}") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made

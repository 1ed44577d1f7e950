# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What every object of the register shares: strict and frozen, bounded text, identities, dates."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

MAX_TEXT: Final = 500
MAX_LONG_TEXT: Final = 4000
MAX_ITEMS: Final = 256
"""Of any list in a record; a batch has as many records as it needs instead."""


class Model(BaseModel):
    """Root of all objects of the register: an unknown key or a wrong type is refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


def _printable(text: str) -> str:
    if not text.strip():
        raise ValueError("this text is empty; leave the key out when there is nothing to say")
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise ValueError("this text holds control characters")
    return text


def _eui(text: object) -> object:
    return re.sub(r"[-: ]", "", text).lower() if isinstance(text, str) else text


def _month_end(text: object) -> object:
    """`2033-06` is the end of June 2033: support ends are stated as month and year."""
    if not isinstance(text, str):
        return text
    if match := re.fullmatch(r"([1-9]\d{3})-(0[1-9]|1[0-2])", text):
        year, month = int(match[1]), int(match[2])
        return date(year, month, calendar.monthrange(year, month)[1])
    return date.fromisoformat(text)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_printable)]
LongText = Annotated[str, Field(min_length=1, max_length=MAX_LONG_TEXT), AfterValidator(_printable)]
OrgId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
"""Of an organisation, for instance `trafiknamnden`."""
Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9ÅÄÖåäö][A-Za-z0-9ÅÄÖåäö._:/-]{0,127}$")]
"""Of a platform, an asset, a paper or a case: KS-2026-0117, STOLPE-118822."""
DeviceId = Annotated[str, Field(pattern=r"^[A-Z]{3}-[0-9]{4,6}$")]
"""Given by the register, for instance `TRK-2041`."""
Eui = Annotated[str, BeforeValidator(_eui), Field(pattern=r"^[0-9a-f]{16}$")]
"""16 lower-case hexadecimal digits; separators and capitals are taken away."""
Fingerprint = Annotated[str, Field(pattern=r"^(hmac|sha256):[0-9a-f]{32,64}$")]
"""Of a credential: a keyed hash of a symmetric key, the SHA-256 of a certificate. Never the secret."""
StoreRef = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]{1,31}:(//)?[A-Za-z0-9._/:-]{1,200}$")]
"""Where a secret is kept: `register:app_key`, `vault://path`."""
Url = Annotated[str, Field(pattern=r"^https?://[^\s<>\"]{3,400}$")]
Share = Annotated[float, Field(gt=0, le=100)]
"""Per cent."""
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
"""With a time zone; kept in UTC."""
Day = date
"""Another name, since many fields are called `date`."""
EndDate = Annotated[date, BeforeValidator(_month_end)]
"""A date; a month stands for its last day."""

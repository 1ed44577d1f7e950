# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""``[platforms.release]``: who reads an output, and what is done to protect those whom the data is about."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from firmware.wire.kinds import terms

Audience = Literal["open", "internal", "restricted"]
LEVELS: tuple[Audience, ...] = ("open", "internal", "restricted")
"""Who may see more stands further right."""

_OPEN_MIN_COUNT = 5
_OPEN_ROUND_TIME_S = 300
_OPEN_PLACE_DECIMALS = 5
PROTECTED_PLACE_DECIMALS = 2
"""About a kilometre, as on the city's public pages."""
_EXACT_DECIMALS = 7


def _is_kind(name: str) -> str:
    if name not in terms.names():
        raise ValueError(f"{name!r} is no kind of device; there are: {', '.join(terms.names())}")
    return name


class ReleaseSettings(BaseModel):
    """What an output may say, and how exactly."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    audience: Audience = "internal"
    """Who reads it. ``open``: everybody."""
    platform_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The platform behind it, as the register calls it."""
    dataset: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Of open data: the dataset of the register into which streams are released."""
    kinds: list[Annotated[str, AfterValidator(_is_kind)]] = []
    """Only devices of these kinds; empty: of all."""
    min_count: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Smaller counts of people and vehicles are left out, with what could give them away. None: 5 when open, else 0."""
    round_time_s: Annotated[int, Field(ge=0, le=86400)] | None = None
    """Times are rounded down to a multiple of it. None: 300 when open, else 0, exact."""
    place_decimals: Annotated[int, Field(ge=0, le=7)] | None = None
    """Decimals of degrees that places are rounded to; 3 are about 100 m. None: 5 when open, else 7."""

    @model_validator(mode="after")
    def _open_or_not(self) -> Self:
        if self.audience == "open" and self.dataset is None:
            raise ValueError(
                'audience "open" needs dataset: the dataset of the register that the streams are released into; '
                "lykta dataset list shows them"
            )
        if self.audience != "open" and self.dataset is not None:
            raise ValueError('dataset is for audience "open" only')
        return self

    @property
    def least(self) -> int:
        """The smallest count that is told."""
        return _given(self.min_count, _OPEN_MIN_COUNT if self.audience == "open" else 0)

    @property
    def step_s(self) -> int:
        """What times are multiples of; 0: nothing."""
        return _given(self.round_time_s, _OPEN_ROUND_TIME_S if self.audience == "open" else 0)

    @property
    def decimals(self) -> int:
        """Of a place that is not protected."""
        return _given(self.place_decimals, _OPEN_PLACE_DECIMALS if self.audience == "open" else _EXACT_DECIMALS)


def _given(value: int | None, default: int) -> int:
    return default if value is None else value

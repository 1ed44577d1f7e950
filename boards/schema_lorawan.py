# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRaWAN's options of a board: [node.lorawan] of its file, to which provisioning adds what one device is to do.

What a table does not give, the firmware decides (``firmware/node/lorawan/layer.py``, which takes the same names).
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.functional_validators import model_validator

from boards.errors import SchemaError


class NodeLorawan(BaseModel):
    """Of the board: antenna and radio. Of the device: class, battery or mains, ADR, certification port."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    device_class: Literal["A", "C"] | None = Field(default=None, alias="class")
    mains: bool | None = None
    adr: bool | None = None
    certification: bool | None = None
    antenna_dbi: int | None = Field(default=None, ge=-20, le=20)
    min_dbm: int | None = Field(default=None, ge=-20, le=22)
    max_dbm: int | None = Field(default=None, ge=-20, le=22)
    window_error_us: int | None = Field(default=None, ge=1000, le=200_000)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        low, high = self.min_dbm, self.max_dbm
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_dbm = {low} is more than max_dbm = {high}")
        if self.device_class == "C" and self.mains is False:
            raise ValueError("a device of class C listens all the time, which no battery can feed")
        return self

    def as_map(self) -> dict[str, object]:
        """Exactly what was given, under the names that the firmware knows."""
        return self.model_dump(exclude_none=True, by_alias=True)


def lorawan_options(board: NodeLorawan | None, **device: object) -> dict[str, object]:
    """Return a board's options with those of one device on top, checked together. Raises SchemaError."""
    given = {} if board is None else board.as_map()
    try:
        return NodeLorawan.model_validate({**given, **device}).as_map()
    except ValidationError as error:
        problems = "; ".join(
            f"lorawan.{'.'.join(map(str, each['loc']))} = {each['input']!r}: {each['msg']}"
            if each["loc"]
            else f"lorawan: {each['msg']}"
            for each in error.errors()
        )
        raise SchemaError(f"{problems}. Possible are: {', '.join(_names())}") from None


def _names() -> list[str]:
    return [field.alias or name for name, field in NodeLorawan.model_fields.items()]

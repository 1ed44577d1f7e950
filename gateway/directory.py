# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register as outputs ask it: off the event loop, with a short memory."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from gateway.errors import PlatformError
from provisioning.errors import ProvisioningError
from provisioning.guidelines.gatewatch import load_pack
from provisioning.outputs import Facts, Outputs, Refusal, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gateway.releases.settings import ReleaseSettings
    from provisioning.reader import Reader

__all__ = ["Directory", "Facts", "Refusal", "Wanted"]

REMEMBER_S = 60.0
"""How long a change in the register takes to be heeded."""
_MAX_REMEMBERED = 20_000


class Directory:
    """One for all outputs. Built before the register is open; asked after. Used from the event loop."""

    def __init__(self) -> None:
        self._outputs: Outputs | None = None
        self._remembered: OrderedDict[str, tuple[float, Facts | None]] = OrderedDict()

    def open(self, registry: Reader, pack: Path | None) -> None:
        """Take the register that will be asked, and where the city's rule pack is, if it is anywhere."""
        self._outputs = Outputs(registry, lambda: load_pack(pack))

    async def facts(self, dev_euis: Iterable[str]) -> dict[str, Facts | None]:
        """By DevEUI, what outputs need to know; None for a device that the register does not list.

        Raises PlatformError when the register cannot be asked: then nothing goes out, and nothing is lost.
        """
        now_s, wanted = time.monotonic(), set(dev_euis)
        unknown = [each for each in wanted if now_s - self._remembered.get(each, (float("-inf"),))[0] > REMEMBER_S]
        if unknown:
            try:
                found = await asyncio.to_thread(self._ask().facts, unknown)
            except ProvisioningError as error:
                raise PlatformError(f"the register cannot be asked: {error}") from error
            for each, facts in found.items():
                self._remembered.pop(each, None)
                self._remembered[each] = now_s, facts
        told = {each: self._remembered[each][1] for each in wanted}
        while len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return told

    async def refusals(self, wanted: Wanted) -> Sequence[Refusal]:
        """Return why an output may not be; empty when it may. Raises PlatformError."""
        try:
            return await asyncio.to_thread(self._ask().refusals, wanted)
        except ProvisioningError as error:
            raise PlatformError(f"the register cannot be asked: {error}") from error

    def _ask(self) -> Outputs:
        if self._outputs is None:
            raise PlatformError("the register is not open yet")
        return self._outputs


def wanted_by(name: str, rules: ReleaseSettings) -> Wanted:
    """Return an output as the register judges it."""
    return Wanted(name, rules.audience, rules.platform_id, rules.dataset, tuple(rules.kinds))


def check(registry: Reader, pack: Path | None, platforms: Iterable[object]) -> list[str]:
    """Return why outputs of a configuration may not be. Raises ProvisioningError."""
    outputs = Outputs(registry, lambda: load_pack(pack))
    found = []
    for settings in platforms:
        rules, name = getattr(settings, "release", None), str(getattr(settings, "name", ""))
        wanted = getattr(settings, "wanted", None) if rules is None else wanted_by(name, rules)
        if wanted is not None:
            found += [f"platform {name}: {refusal}" for refusal in outputs.refusals(wanted)]
    return found

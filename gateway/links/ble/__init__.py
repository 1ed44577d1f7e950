# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Bluetooth LE: boards near the gateway, one GATT connection each while it is their turn.

A board advertises that it is there; the daemon says whether the hint in the advertisement is one of a registered
device (`BleLink.introduce`); the link connects, subscribes, and carries frames in pieces (`firmware.wire.segment`).
What an advertisement says authenticates nobody: whoever connects and has nothing to say that the gateway answers is
let go when others wait, and comes after them next time. bleak is imported when a link of this type is configured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gateway import plugins

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.links.ble.link import BleLink
    from gateway.operate.counters import Counters


class Settings(plugins.Settings):
    """``[[links]]`` with ``type = "ble"``."""

    type: Literal["ble"]
    adapter: Annotated[str, Field(pattern=r"^hci[0-9]{1,3}$")] | None = None
    """Which adapter of this computer; without it the first that is switched on."""
    backend: Annotated[str, Field(pattern=r"^(bluez|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$")] = "bluez"
    """Who drives the radio: BlueZ, or ``module:name`` of an object with bleak's ``scanner`` and ``client`` classes."""
    connections: Annotated[int, Field(ge=1, le=32)] = 5
    """Boards at once. Many adapters hold seven or eight, some fewer."""
    scan_s: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    """Scanning begins anew after so long, so that an adapter or a bluetoothd that was exchanged is noticed."""
    connect_s: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    """How long a connection may take until frames can pass."""
    prove_s: Annotated[float, Field(ge=0.1, le=600)] = 10.0
    """A board to which the gateway had nothing to answer for so long makes room when others wait."""
    turn_s: Annotated[float, Field(ge=0.1, le=3600)] = 30.0
    """So does any board after so long."""
    alive_s: Annotated[float, Field(ge=0.1, le=600)] = 60.0
    """After so long without a frame to a board, it is asked whether it is still there."""
    quiet_s: Annotated[float, Field(ge=1, le=86400)] = 600.0
    """A connection without a frame for so long is taken for dead."""


def build(settings: Settings, clock: Clock, counters: Counters) -> BleLink:
    """Return the link of one ``[[links]]`` table. Raises LinkError when its backend is not there."""
    from gateway.links.ble.adapter import Adapter  # bleak: only who has the link pays for it
    from gateway.links.ble.link import BleLink

    return BleLink(settings, clock, counters, Adapter(settings))

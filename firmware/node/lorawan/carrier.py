# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An unmodulated carrier, as a laboratory asks for it (TS009 TxCwReq). Loaded for that, and given back.

It is booked as air time like any frame: whoever wants to go on at once switches the duty cycle off before
(RegionalDutyCycleCtrlReq).
"""

import asyncio

from firmware.node.lazy import borrowed
from firmware.node.log import log

_STEP_MS = 10000
_LONGER_MS = 30000


async def send(radio, layer, alive) -> None:
    """Send what ``layer.certification.carrier`` says and set the radio up anew. *alive(ms)* holds off the watchdog."""
    (freq_hz, power_dbm, left_ms), layer.certification.carrier = layer.certification.carrier, None
    if not radio.carrier:
        log("lora", "no carrier on %d Hz: this radio's driver has none" % freq_hz)
        return
    log("lora", "carrier on %d Hz for %d s" % (freq_hz, left_ms // 1000))
    layer.duty.spend(freq_hz, left_ms)
    with borrowed(radio.carrier) as chip:
        chip.start(radio, freq_hz, min(power_dbm, layer.max_dbm))
    try:
        while left_ms > 0:
            step_ms = min(left_ms, _STEP_MS)
            alive(step_ms + _LONGER_MS)
            await asyncio.sleep_ms(step_ms)
            left_ms -= step_ms
    finally:
        with borrowed(radio.carrier) as chip:
            chip.end(radio)
    await radio.init()

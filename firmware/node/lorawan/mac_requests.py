# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MAC requests -> changed parameters and answers (TS001 section 5, RP002 section 2.4). Pure: no I/O, no time.

*engine* is a ``mac_engine.MacEngine`` throughout. Loaded when the network asks for something, and given back.
"""

from firmware.node.lorawan.channels import DEFAULTS
from firmware.wire import macdevice, region
from firmware.wire.maccommands import (
    DEV_STATUS,
    DL_CHANNEL,
    DUTY_CYCLE,
    LINK_ADR,
    NEW_CHANNEL,
    RX_PARAM_SETUP,
    RX_TIMING_SETUP,
)

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

_MASK_OK = 1
_DR_OK = 2
_POWER_OK = 4
_ALL_OK = 7
_MASK_SINGLE = 0  # ChMaskCntl: ChMask holds channels 0 to 15
_MASK_ALL = 6  # ChMaskCntl: every channel that exists
_FREQUENCY_OK = 1  # bits of the answers to NewChannelReq and DlChannelReq
_SECOND_OK = 2
_MAX_PENDING = 222  # bytes of answers; more than one downlink can ask for is not kept
_LOWEST_HZ = 863000000
_HIGHEST_HZ = 870000000


def obey_join_accept(engine, dl_settings: int, rx_delay: int, cf_list: bytes) -> None:
    """Take over what a Join-Accept says; the CFList counts after the rest (TS001 section 6.2.6)."""
    offset, rx2_dr = macdevice.dl_settings(dl_settings)
    engine.rx1_offset = min(offset, region.MAX_RX1_DR_OFFSET)
    engine.rx2_dr = rx2_dr if rx2_dr <= region.MAX_DR else region.RX2_DR
    engine.rx_delay_s = macdevice.rx_delay_s(rx_delay)
    if len(cf_list) != 16 or cf_list[15] != 0:  # other types mean nothing
        return
    for i in range(5):  # as NewChannelReq would (RP002 section 2.4.2)
        freq_hz = macdevice.frequency_hz(cf_list[3 * i : 3 * i + 3])
        new_channel(engine.plan, DEFAULTS + i, freq_hz, region.MIN_DR, region.MAX_DEFAULT_DR)


def obey(engine, requests: list, snr_db: int) -> None:
    """Obey the requests of one downlink; LinkADRReq that follow one another are one block."""
    i = 0
    while i < len(requests):
        cid, payload = requests[i]
        i += 1
        if cid != LINK_ADR:
            _obey(engine, cid, payload, snr_db)
            continue
        block = [payload]
        while i < len(requests) and requests[i][0] == LINK_ADR:
            block.append(requests[i][1])
            i += 1
        status = _link_adr(engine, block)
        for _ in block:
            _answer(engine, macdevice.answer(LINK_ADR, status))


def new_channel(plan, index: int, freq_hz: int, min_dr: int, max_dr: int) -> int:
    """Make, change or (frequency 0) remove a channel; return the status of the answer (TS001 section 5.7)."""
    if not DEFAULTS <= index < region.MAX_CHANNELS:  # the default channels are read-only
        return 0
    if freq_hz == 0:
        plan.put(index, None)
        return _FREQUENCY_OK | _SECOND_OK
    status = _FREQUENCY_OK if region.band_of(freq_hz) is not None else 0
    if min_dr <= max_dr <= region.MAX_DR:
        status |= _SECOND_OK
    if status == _FREQUENCY_OK | _SECOND_OK:
        plan.put(index, (freq_hz, min_dr, max_dr, freq_hz))
    return status


def _dl_channel(plan, index: int, rx1_hz: int) -> int:
    """Move RX1 of a channel; return the status of the answer (TS001 section 5.10)."""
    channel = plan.channels[index] if index < region.MAX_CHANNELS else None
    status = (_FREQUENCY_OK if _downlink_possible(rx1_hz) else 0) | (0 if channel is None else _SECOND_OK)
    if channel is not None and status & _FREQUENCY_OK:
        plan.channels[index] = (channel[0], channel[1], channel[2], rx1_hz)
    return status


def _downlink_possible(freq_hz: int) -> bool:
    """Tell whether a device may listen on this frequency; the network has its own rules for sending there."""
    return _LOWEST_HZ <= freq_hz <= _HIGHEST_HZ


def _masked(plan, mask: int, control: int, chmask: int) -> int | None:
    """Return *mask* as one LinkADRReq changes it, None where it asks for a channel that does not exist."""
    existing = plan.existing()
    if control == _MASK_ALL:
        return existing
    if control != _MASK_SINGLE or chmask & ~existing:
        return None
    return chmask


def _answer(engine, answer: bytes) -> None:
    if engine.pending_len() + len(answer) <= _MAX_PENDING:
        engine.answers.append(answer)


def _obey(engine, cid: int, payload: bytes, snr_db: int) -> None:
    """Obey one request. TxParamSetup is not for EU868 and gets no answer (RP002 section 2.4.3)."""
    if cid == DUTY_CYCLE:
        engine.max_duty_cycle = macdevice.max_duty_cycle(payload)
        engine.changed = True
        _answer(engine, bytes([cid]))
    elif cid == RX_PARAM_SETUP:
        _answer(engine, macdevice.answer(cid, _rx_param_setup(engine, payload)))
    elif cid == DEV_STATUS:
        _answer(engine, macdevice.dev_status_ans(engine.battery, snr_db))
    elif cid == NEW_CHANNEL:
        _answer(engine, macdevice.answer(cid, new_channel(engine.plan, *macdevice.new_channel(payload))))
        _plan_changed(engine)
    elif cid == RX_TIMING_SETUP:
        engine.rx_delay_s = macdevice.rx_delay_s(payload[0])
        engine.changed = True
        _answer(engine, bytes([cid]))
    elif cid == DL_CHANNEL:
        _answer(engine, macdevice.answer(cid, _dl_channel(engine.plan, *macdevice.dl_channel(payload))))
        _plan_changed(engine)


def _plan_changed(engine) -> None:
    engine.dr = engine.plan.best_dr(engine.dr)
    engine.changed = True


def _rx_param_setup(engine, payload: bytes) -> int:
    """All three or none (TS001 section 5.5)."""
    offset, rx2_dr, rx2_hz = macdevice.rx_param_setup(payload)
    status = 1 if _downlink_possible(rx2_hz) else 0
    status |= 2 if rx2_dr <= region.MAX_DR else 0
    status |= 4 if offset <= region.MAX_RX1_DR_OFFSET else 0
    if status == _ALL_OK:
        engine.rx1_offset, engine.rx2_dr, engine.rx2_hz = offset, rx2_dr, rx2_hz
        engine.changed = True
    return status


def _link_adr(engine, block: list[bytes]) -> int:
    """Obey a block of LinkADRReq as one: all or nothing; rate, power and copies of the last (TS001 section 5.3)."""
    mask: "Any" = engine.plan.mask  # None: asks for a channel that does not exist
    for payload in block:
        dr, power, chmask, control, nb_trans = macdevice.link_adr(payload)
        if mask is not None:
            mask = _masked(engine.plan, mask, control, chmask)
    dr = engine.dr if dr == macdevice.KEEP else dr
    power = engine.tx_power if power == macdevice.KEEP else power
    if not engine.adr_on:
        return _mask_alone(engine, mask, dr, power)
    status = _MASK_OK if mask else 0
    if dr <= region.MAX_DR and engine.plan.enabled(dr, mask or engine.plan.mask):
        status |= _DR_OK
    if power <= region.MAX_TX_POWER and region.eirp_dbm(power) >= engine.min_dbm:
        status |= _POWER_OK  # more than the radio can is fine: it sends what it can
    if status == _ALL_OK:
        engine.plan.mask = mask
        engine.dr, engine.tx_power, engine.nb_trans = dr, power, nb_trans or 1
        engine.changed = True
    return status


def _mask_alone(engine, mask, dr: int, power: int) -> int:
    """Without ADR rate, power and NbTrans are the device's own; the mask counts, and each is answered for itself.

    TS001 section 4.3.1.1: a device without the ADR bit may refuse all three. Accepted is what it does anyway.
    """
    status = (_DR_OK if dr == engine.dr else 0) | (_POWER_OK if power == engine.tx_power else 0)
    if mask and engine.plan.enabled(engine.dr, mask):
        engine.plan.mask = mask
        engine.changed = True
        status |= _MASK_OK
    return status

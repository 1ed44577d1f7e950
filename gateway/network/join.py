# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Over-the-air activation, TS001-1.0.4 section 6.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.wire import errors as wire_errors
from firmware.wire import joining, macnetwork
from firmware.wire.crypto import derive_session_keys
from gateway.clock import MIN_PLAUSIBLE_S, plausible
from gateway.errors import AddressesExhausted, FrameNotAuthentic, OtherWorker, UnknownDevice, WrongNonce
from gateway.network import channels
from gateway.network.aes import ecb, ecb_decrypt
from gateway.network.channels import ChannelPlan
from gateway.network.profiles import profile
from gateway.network.radio_state import RadioState
from gateway.network.sessions import Nonces

if TYPE_CHECKING:
    from random import Random

    from gateway.links import Uplink
    from gateway.network.options import Options
    from gateway.network.profiles import Profile
    from gateway.network.register import Device, KnownDevices
    from gateway.network.sessions import SessionStore

_MAX_JOIN_NONCE = 0xFFFFFF
_MAX_FIRST_JOIN_NONCE = _MAX_JOIN_NONCE - 0x10000
"""A device has 65536 DevNonces, so it never needs more JoinNonces than that; reached in 2057."""
_NWK_ADDR_BITS = 25  # NetID type 0: one bit of type, 6 of NwkID, 25 of NwkAddr (TS001 section 6.1.1)
_ADDRESS_TRIES = 64


class JoinServer:
    """Answers Join-Requests. Everything it decides is in the store's open transaction; commit before sending."""

    def __init__(
        self, devices: KnownDevices, store: SessionStore, net_id: int, random: Random, options: Options
    ) -> None:
        self._devices = devices
        self._store = store
        self._net_id = net_id
        self._random = random
        self._options = options

    def reconfigure(self, options: Options) -> None:
        """Go on with other options."""
        self._options = options

    def accept(self, uplink: Uplink) -> tuple[bytes, bytes, list[int]]:
        """Return DevEUI, Join-Accept and the addresses of sessions that ended.

        Raises wire Malformed, OtherWorker, UnknownDevice, RetiredDevice, FrameNotAuthentic, WrongNonce,
        AddressesExhausted.
        """
        request = joining.decode_join_request(uplink.phy)
        dev_eui = request.dev_eui
        if not self._options.share.has(dev_eui):
            raise OtherWorker(f"device {dev_eui.hex()} belongs to another worker; its nonces are there")
        self._devices.forget(dev_eui)
        device = self._devices.active(dev_eui)
        if device.join_eui != request.join_eui:
            raise UnknownDevice(
                f"device {dev_eui.hex()} asks JoinEUI {request.join_eui.hex()}, but is registered under "
                f"{device.join_eui.hex()}",
                dev_eui=dev_eui,
            )
        app_key = self._devices.app_key(dev_eui)
        encrypt = ecb(app_key)
        try:
            joining.check_join_request(encrypt, uplink.phy)
        except wire_errors.NotAuthentic as error:
            raise FrameNotAuthentic(str(error), dev_eui=dev_eui) from error
        profiled = profile(device, self._options)
        nonces = self._next_nonces(device, profiled, request.dev_nonce, uplink.received_at)
        dev_addr = self._free_address(dev_eui)
        keys = derive_session_keys(encrypt, nonces.join_nonce, self._net_id, nonces.dev_nonce)
        self._store.set_nonces(dev_eui, nonces)
        radio, plan, cf_list = self._agreed(profiled, uplink)
        ended = self._store.add(dev_eui, dev_addr, keys, nonces.join_nonce, radio, plan)
        accept = joining.encode_join_accept(
            encrypt,
            ecb_decrypt(app_key),
            nonces.join_nonce,
            self._net_id,
            dev_addr,
            macnetwork.encode_dl_settings(radio.rx1_dr_offset, radio.rx2_dr),
            radio.rx1_delay_s,
            cf_list,
        )
        return dev_eui, accept, ended

    def _agreed(self, profiled: Profile, uplink: Uplink) -> tuple[RadioState, ChannelPlan, bytes]:
        """Return what the Join-Accept tells a device about its radio, and the CFList; on a line it would tell nothing.

        A frequency of RX2 that is not the region's takes an RXParamSetupReq later.
        """
        if uplink.radio is None:
            return RadioState(), ChannelPlan(), b""
        plan, cf_list = channels.at_join(self._options.channels)
        radio = RadioState(
            profiled.rx1_delay_s,
            rx2_dr=profiled.rx2_dr,
            channels=channels.mask(plan),
            link=uplink.link,
            address=uplink.address,
        )
        return radio, plan, cf_list

    def _next_nonces(self, device: Device, profiled: Profile, dev_nonce: int, wall_s: float) -> Nonces:
        dev_eui = device.dev_eui
        last = self._store.nonces(dev_eui)
        if profiled.random_dev_nonce:
            if not self._store.use_random_nonce(dev_eui, dev_nonce):
                raise WrongNonce(f"device {dev_eui.hex()} joins with DevNonce {dev_nonce} again", dev_eui=dev_eui)
        elif dev_nonce <= last.dev_nonce:
            raise WrongNonce(
                f"device {dev_eui.hex()} joins with DevNonce {dev_nonce} after {last.dev_nonce}; it must grow. "
                f"If this board was wiped: lykta-gateway forget-nonces {dev_eui.hex()} --config FILE",
                dev_eui=dev_eui,
            )
        join_nonce = last.join_nonce + 1
        if last.join_nonce < 0:
            # A device refuses a JoinNonce it has seen. Beginning at the minutes since 2026 keeps them growing even
            # when the session file was lost: nobody joins once a minute for long.
            minutes = int(wall_s - MIN_PLAUSIBLE_S) // 60 if plausible(wall_s) else 0
            join_nonce = max(1, min(minutes, _MAX_FIRST_JOIN_NONCE))
        if join_nonce > _MAX_JOIN_NONCE:
            raise WrongNonce(f"the JoinNonces of {dev_eui.hex()} are used up; give it a new key", dev_eui=dev_eui)
        return Nonces(dev_nonce, join_nonce)

    def _free_address(self, dev_eui: bytes) -> int:
        for _ in range(_ADDRESS_TRIES):
            drawn = self._net_id << _NWK_ADDR_BITS | self._random.getrandbits(_NWK_ADDR_BITS)
            dev_addr = self._options.share.address(drawn)
            if self._options.share.free(dev_addr) and self._store.address_is_free(dev_addr):
                return dev_addr
        raise AddressesExhausted(f"no free address for {dev_eui.hex()} in {_ADDRESS_TRIES} tries", dev_eui=dev_eui)

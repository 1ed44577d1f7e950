# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The device's half of adaptive data rate (TS001 section 4.3.1.1, table 9): unanswered it asks, then slows down.

To the letter and up to DR0: tests/upy/node_lora.py, in simulated time. In real time it takes minutes.
"""

import pytest

from hil_tests.conftest import Devices
from hil_tests.network import FASTEST, Network

ADR_ACK_LIMIT = 64
ADR_ACK_DELAY = 32
SLOWER_AT = ADR_ACK_LIMIT + 2 * ADR_ACK_DELAY
FPORT = 224
DUTY_CYCLE_OFF = b"\x05\x00"
EVERY_5_S = b"\x06\x01"  # the device's own application may fall silent when nobody answers it


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_without_an_answer_it_asks_and_slows_down(joined: Network, devices: Devices) -> None:
    """Each frame counter value counts once. On a bench: in a shielded box, the duty cycle is off."""
    devices.forget()
    joined.tell(FPORT, DUTY_CYCLE_OFF)
    first = joined.tell(FPORT, EVERY_5_S).data.fcnt  # the first one since it was answered
    asked, rates = {}, {}
    while (count := (heard := joined.next(120)).data.fcnt - first) <= SLOWER_AT + 1:
        asked[count], rates[count] = heard.data.adr_ack_req, heard.dr
    assert [count for count, asks in asked.items() if asks] == [count for count in asked if count >= ADR_ACK_LIMIT]
    assert {rates[count] for count in rates if count < SLOWER_AT} == {FASTEST}
    assert {rates[count] for count in rates if count >= SLOWER_AT} == {FASTEST - 1}
    joined.answer(joined.next_data())
    assert not joined.next_data().data.adr_ack_req

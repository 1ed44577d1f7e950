# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The node on a radio, under MicroPython, in simulated time: windows, copies, duty cycle, class C.

micropython tests/upy/node_lora.py SCENARIO SEED      prints "ok" or a traceback
"""

from tests.upy.lora_world import LoraWorld  # noqa: I001  first: it sets the clock

import asyncio
import sys

from firmware.node.lorawan.windows import receive_window
from firmware.wire.frame import CONFIRMED_UP
from firmware.wire import maccommands, macnetwork, region
from tests.upy.sim_time import clock

ERROR_US = 20000


def received(world, count):
    return lambda: len(world.server.readings) >= count


def windows_after(world, uplink):
    later = [up.begun_us for up in world.radio.uplinks if up.begun_us > uplink.begun_us]
    end_us = later[0] if later else clock.now_us
    return [window for window in world.radio.windows if uplink.end_us < window.at_us < end_us]


def check_window(window, uplink, delay_s, freq_hz, dr):
    sf, bw_hz, _ = region.DATA_RATES[dr]
    symbols, offset_us = receive_window(sf, bw_hz, ERROR_US, 0)
    assert (window.freq_hz, window.sf, window.symbols) == (freq_hz, sf, symbols), (window.freq_hz, window.sf)
    assert window.at_us == uplink.end_us + delay_s * 1000000 + offset_us, window.at_us - uplink.end_us
    assert window.prepared_us < window.at_us


async def scenario_joins_and_delivers(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 12), "12 readings")
    assert len(world.server.joins) == 1
    assert world.server.refused == 0 and world.link.late_windows == 0 and world.link.unsent == 0
    frequencies = {up.freq_hz for up in world.radio.uplinks}
    assert frequencies <= set(region.DEFAULT_CHANNELS_HZ) and len(frequencies) > 1
    join = world.radio.uplinks[0]
    check_window(windows_after(world, join)[0], join, 5, join.freq_hz, region.dr_of(join.sf, join.bw_hz))
    assert world.node.clock.is_set()
    world.check_duty()


async def scenario_windows_open_to_the_microsecond(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 1), "a session")
    world.answer_in = 0
    count = len(world.data_uplinks())
    world = await world.reboot()
    world.answer_in = 0
    await world.until(lambda: len(world.data_uplinks()) >= 3, "3 uplinks")
    assert count >= 1
    for uplink in world.data_uplinks()[:2]:
        dr = region.dr_of(uplink.sf, uplink.bw_hz)
        first, second = windows_after(world, uplink)
        check_window(first, uplink, 1, uplink.freq_hz, dr)
        check_window(second, uplink, 2, region.RX2_HZ, region.RX2_DR)


async def scenario_rx2_stays_shut_after_a_frame_in_rx1(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 8), "8 readings")
    answered = [up for up, _ in world.answered if not up.joining and up.begun_us < clock.now_us - 10000000]
    assert answered
    for uplink in answered:
        assert len(windows_after(world, uplink)) == 1


async def scenario_a_strange_frame_in_rx1_does_not_shut_rx2(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 2), "a session")
    world.server.receipts = True
    strange = b"\x60\x01\x02\x03\x04\x00\x05\x00\x01abcd1234"

    def uplink(up):
        world.radio.send_down(up.end_us + 1000000, up.freq_hz, region.dr_of(up.sf, up.bw_hz), strange)
        world.answer_in = 2
        world._uplink(up)

    before = len(world.server.readings)
    world = await world.reboot()
    world.radio.on_uplink = uplink
    await world.until(received(world, before + 8), "8 more readings through RX2")
    assert world.node.network.refused >= 2
    assert world.node.queue.held() <= 6


async def scenario_answers_in_rx2_are_heard(seed):
    world = LoraWorld(seed)
    world.answer_in = 2
    await world.until(received(world, 12), "12 readings")
    assert len(world.server.joins) == 1
    assert world.node.queue.held() <= 6


async def scenario_a_late_window_is_counted(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 1), "a session")
    before = len(world.server.readings)
    world = await world.reboot()
    world.radio.lateness_us = ERROR_US + 1
    await world.until(received(world, before + 4), "4 readings")
    assert world.link.late_windows == len(world.radio.windows) > 0
    world = await world.reboot()
    world.radio.lateness_us = ERROR_US
    await world.until(received(world, before + 8), "4 more")
    assert world.link.late_windows == 0 and world.radio.windows


async def scenario_copies_are_sent_until_an_answer(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 2), "a session")
    before = len(world.server.readings)
    world = await world.reboot()
    world.engine.nb_trans = 3
    world.answer_in = 0
    await world.until(lambda: len(world.data_uplinks()) >= 6, "6 frames")
    frames = [up.data for up in world.data_uplinks()]
    assert frames[0] == frames[1] == frames[2] and frames[3] == frames[4] == frames[5] != frames[0]
    first, second = world.data_uplinks()[:2]
    gap_us = second.begun_us - first.end_us
    assert gap_us > 2000000 + 1000000, gap_us  # RX2, then 1 to 3 s
    world.answer_in = 1
    world.radio.uplinks.clear()
    world.answered.clear()
    await world.until(received(world, before + 12), "12 readings")
    answered = {up.data for up, _ in world.answered[:-1]}
    assert answered
    for data in answered:
        assert len([up for up in world.radio.uplinks if up.data == data]) == 1


async def scenario_mac_commands_are_obeyed_and_answered(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 2), "a session")
    requests = macnetwork.new_channel_req(3, 867100000) + macnetwork.rx_timing_setup_req(3)
    requests += macnetwork.link_adr_req(4, 2, 0x0008, 0, 1) + macnetwork.dev_status_req()
    world.server.mac_on_port_0 = requests  # 16 bytes do not fit FOpts
    seen = []
    world.server.on_fopts = seen.append
    await world.until(lambda: world.engine.rx_delay_s == 3, "the new delay")
    world.rx1_delay_s = 3
    world.radio.uplinks.clear()
    before = len(world.server.readings)
    await world.until(received(world, before + 8), "8 readings with the new settings")
    expected = [(7, b"\x03"), (8, b""), (3, b"\x07"), (6, bytes([255, 7]))]
    answers = [maccommands.parse(fopts, True) for fopts in seen]
    first = next(commands for commands in answers if commands and commands[0][0] == 7)
    assert first[:4] == expected, first
    assert {up.freq_hz for up in world.data_uplinks()} == {867100000}
    assert {up.sf for up in world.data_uplinks()} == {8}
    assert {up.power_dbm for up in world.data_uplinks()} == {10}  # 16 - 2 x 2 dBm EIRP, 2 dBi antenna
    again = await world.reboot()
    before = len(world.server.readings)
    await again.until(received(again, before + 8), "8 readings after a reboot")
    assert {up.freq_hz for up in again.radio.uplinks} == {867100000} and {up.sf for up in again.radio.uplinks} == {8}
    assert len(world.server.joins) == 1


async def scenario_rx_timing_answers_are_repeated_until_heard(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 2), "a session")
    world.server.mac = macnetwork.rx_timing_setup_req(2)
    seen = []
    world.server.on_fopts = seen.append
    await world.until(lambda: world.engine.rx_delay_s == 2, "the new delay")
    world.answer_in = 0
    del seen[:]
    await world.until(lambda: len(seen) >= 3, "3 uplinks without an answer")
    assert all(8 in [cid for cid, _ in maccommands.parse(fopts, True)] for fopts in seen), seen
    world.answer_in, world.rx1_delay_s = 1, 2
    await world.until(lambda: not world.engine.answers, "an answer")
    del seen[:]
    await world.until(lambda: len(seen) >= 2, "2 more uplinks")
    assert all(8 not in [cid for cid, _ in maccommands.parse(fopts, True)] for fopts in seen), seen


async def scenario_many_answers_go_on_port_0(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 2), "a session")
    world.server.mac_on_port_0 = b"".join([macnetwork.dev_status_req() for _ in range(8)])
    ports = []
    world.server.on_port = lambda port, payload: ports.append(payload) if port == 0 else None
    await world.until(lambda: bool(ports), "a frame on port 0")
    assert maccommands.parse(ports[0], True) == [(6, bytes([255, 7]))] * 8


async def scenario_the_duty_cycle_holds_and_nothing_is_lost(seed):
    world = LoraWorld(seed, interval_ms=4000)
    await world.until(received(world, 2), "a session")
    world.engine.dr = 0
    world.engine.plan.mask = 1
    await world.run_for(3 * 3600)
    world.check_duty()
    used = sum([up.end_us - up.begun_us for up in world.radio.uplinks if up.end_us > clock.now_us - 3600000000])
    assert used > 25000000, used  # it is used, too
    assert world.role.made > 2600  # and the role never waited


async def scenario_the_duty_cycle_holds_across_resets(seed):
    world = LoraWorld(seed, interval_ms=2000)
    await world.until(received(world, 2), "a session")
    uplinks = list(world.radio.uplinks)
    for _ in range(8):
        world = await world.reboot()
        world.engine.dr = 0
        world.engine.plan.mask = 1
        await world.run_for(420)
        uplinks += world.radio.uplinks
    world.radio.uplinks = uplinks
    world.check_duty()
    assert sum([up.end_us - up.begun_us for up in uplinks]) > 10000000


async def scenario_joining_in_vain_keeps_its_budget(seed):
    world = LoraWorld(seed, interval_ms=600000)
    world.answer_in = 0
    life_s = (600, 5400, 20000, 43000, 100000)
    joins = []
    on_s = 0
    for seconds in life_s:
        start_us = clock.now_us
        await world.run_for(seconds)
        joins += [(on_s * 1000000 + up.begun_us - start_us, up.end_us - up.begun_us) for up in world.radio.uplinks]
        on_s += seconds
        world = await world.reboot()
        world.answer_in = 0
    assert len(joins) > 10
    hour = 3600 * 1000000
    first = sum([air for at, air in joins if at < hour])
    eleven = sum([air for at, air in joins if at < 11 * hour])
    assert 0 < first <= 36000000 and first < eleven <= 72000000
    assert sum([air for at, air in joins if at < 35 * hour]) <= 80700000
    assert len({up for up in world.server.joins}) == len(world.server.joins)
    assert world.role.made > 250  # the role went on


async def scenario_class_c_listens_whenever_it_does_nothing_else(seed):
    world = LoraWorld(seed, lorawan={"class": "C"})
    await world.until(received(world, 6), "6 readings")
    uplinks = world.data_uplinks()
    idle_us = 0
    for i in range(len(uplinks) - 1):
        first, second = uplinks[i : i + 2]
        gap_us = second.begun_us - first.end_us
        heard_us = 0
        for from_us, to_us, freq_hz, sf, _ in world.radio.listening:
            assert (freq_hz, sf) == (region.RX2_HZ, 12)
            heard_us += max(0, min(to_us or clock.now_us, second.begun_us) - max(from_us, first.end_us))
        idle_us = max(idle_us, gap_us - heard_us)
    assert len(uplinks) >= 3 and idle_us < 1600000, idle_us  # RX1 itself, with a frame in it at a slow rate


async def scenario_class_c_downlinks_are_taken_and_acknowledged(seed):
    world = LoraWorld(seed, lorawan={"class": "C"})
    await world.until(received(world, 4), "4 readings")
    acks = world.server.acks
    requests = macnetwork.rx_timing_setup_req(9)
    phy = world.server.session.seal_downlink(None, b"", confirmed=True, fopts=requests)
    await world.run_for(8)  # the exchange is over
    sent_us = clock.now_us
    world.radio.send_down(sent_us, region.RX2_HZ, region.RX2_DR, phy)
    await world.until(lambda: world.server.acks > acks, "an acknowledgement")
    assert world.data_uplinks()[-1].begun_us - sent_us < 8000000 + 1500000  # CLASS_C_RESP_TIMEOUT, after its end
    assert world.engine.rx_delay_s == 1  # MAC commands of class C are dropped


async def scenario_class_c_answers_in_the_rx2_window_are_class_a(seed):
    world = LoraWorld(seed, lorawan={"class": "C"})
    await world.until(received(world, 2), "a session")
    world.answer_in = 2
    world.server.mac = macnetwork.rx_timing_setup_req(2)
    await world.until(lambda: world.engine.rx_delay_s == 2, "the command obeyed")


async def scenario_a_radio_that_fails_is_set_up_anew(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 2), "a session")
    before = world.radio.inits
    world.radio.broken = 2
    goal = len(world.server.readings) + 8
    await world.until(received(world, goal), "8 more readings")
    assert world.radio.inits == before + 2 and world.link.faults == 2


async def scenario_what_the_network_announced_is_asked_for_at_once_and_three_times(seed):
    world = LoraWorld(seed, interval_ms=86400000)
    await world.until(received(world, 1), "a session")
    await world.run_for(100)
    session = world.server.session
    sent = []

    def answer(_received, more=True):
        sent.append(clock.now_us)
        return [session.seal_downlink(3, b"", f_pending=len(sent) < 3)]

    world.server._answer = answer
    before = len(world.data_uplinks())
    world.layer.urgent = True
    world.node.network.wake()
    await world.run_for(120)
    assert len(world.data_uplinks()) - before == 3, "one for each frame that was announced, and no more"
    del sent[:]
    world.mangle_down = lambda phy: phy if len(sent) == 1 else None
    before = len(world.data_uplinks())
    world.layer.urgent = True
    world.node.network.wake()
    await world.run_for(300)
    tries = world.data_uplinks()[before:]
    assert len(tries) == 4, "the second was lost, and so were those for which it was asked again"
    world.check_duty()


async def scenario_behind_an_answer_about_an_update_it_polls_for_what_may_be_lost(seed):
    world = LoraWorld(seed, interval_ms=86400000)
    await world.until(received(world, 1), "a session")
    await world.run_for(100)
    session, asks = world.server.session, [b"\x03"]
    world.server._answer = lambda _: [session.seal_downlink(10, asks.pop())] if asks else []
    before = len(world.data_uplinks())
    world.layer.urgent = True
    world.node.network.wake()
    await world.run_for(300)
    assert len(world.data_uplinks()) - before == 5, "what brought the question, the answer, three polls"
    world.check_duty()


async def scenario_adr_asks_and_backs_off_to_the_letter(seed):
    world = LoraWorld(seed, interval_ms=20000)
    await world.until(received(world, 2), "a session")
    world.engine.dr, world.engine.tx_power, world.engine.nb_trans = 5, 3, 1
    world.layer.adr.on_downlink()
    world.answer_in = 0
    world.link.rejoin_after = world.node.network._rejoin_after = 1 << 20
    world.radio.uplinks.clear()
    for _ in range(500):
        if len(world.data_uplinks()) >= 170:
            break
        world.layer.urgent = True
        world.node.network.wake()
        await world.run_for(5)
    flags = [bool(up.data[5] & 0x40) for up in world.data_uplinks()]
    assert flags[:64] == [False] * 64 and all(flags[64:170]), flags
    assert all(up.data[5] & 0x80 for up in world.data_uplinks())
    powers = [up.power_dbm for up in world.data_uplinks()]
    assert powers[:96] == [8] * 96 and set(powers[96:]) == {14}
    factors = [up.sf for up in world.data_uplinks()]
    assert factors[:128] == [7] * 128 and factors[128:160] == [8] * 32 and factors[160:170] == [9] * 10
    world.check_duty()


async def scenario_an_alarm_is_confirmed_and_repeated_until_it_is_held(seed):
    world = LoraWorld(seed, interval_ms=86400000)
    await world.until(received(world, 1), "a session")
    await world.run_for(100)
    world.answer_in = 0
    before = len(world.data_uplinks())
    raised_us = clock.now_us
    world.role.alarm()
    await world.until(lambda: len(world.server.alarms) >= 4, "4 tries")
    tries = world.data_uplinks()[before : before + 4]
    assert tries[0].begun_us - raised_us < 3000000, tries[0].begun_us - raised_us
    assert all(numbers == world.server.alarms[0][0] and confirmed for numbers, confirmed in world.server.alarms)
    assert all(up.data[0] >> 5 == CONFIRMED_UP for up in tries)
    assert all(tries[i + 1].begun_us - tries[i].end_us > 15000000 for i in range(3))  # never a burst
    world.answer_in = 2
    count = len(world.server.alarms)
    await world.until(lambda: len(world.server.alarms) > count, "an answered one")
    count = len(world.server.alarms)
    await world.run_for(3000)
    assert len(world.server.alarms) == count  # held: no more
    world.check_duty()


async def scenario_alarms_are_at_most_one_a_minute(seed):
    world = LoraWorld(seed, interval_ms=86400000)
    await world.until(received(world, 1), "a session")
    for _ in range(300):
        world.role.alarm()
        await world.run_for(1)
    assert 4 <= len(world.server.alarms) <= 6, world.server.alarms


if __name__ == "__main__":
    asyncio.run(globals()["scenario_" + sys.argv[1]](int(sys.argv[2])))
    print("ok")

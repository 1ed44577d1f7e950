# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Two workers behind a front, from outside: real processes, packet forwarders on real sockets."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest

from gateway import config as config_file
from gateway.front import metrics
from gateway.network.share import of_address
from provisioning.errors import ConfigError
from tests.gateway_rig import START_S, City, Daemon, Device, until
from tests.lora_rig import Air, free_udp_port, listening
from tests.workers_rig import (
    COUNT,
    Divided,
    device_of,
    divided,
    gateway,
    held,
    joined,
    receipted,
    refused,
    stored,
    workers_config,
)

pytestmark = [pytest.mark.timeout(600), pytest.mark.apart]


async def one_process(city: City, port: int, devices: list[Device]) -> Path:
    """A gateway as it was before: devices join it, and bring their first readings. It has been stopped again."""
    config = workers_config(city, port, count=1)
    daemon = Daemon(config)
    try:
        await asyncio.to_thread(daemon.wait_for, "lora_open", 1, START_S)
        async with listening(Air(port)) as air:
            for device in devices:
                await joined(air, device)
                assert await receipted(air, device, 1, 2) == {1, 2}
        assert await asyncio.to_thread(daemon.stop) == 0, daemon.events
    finally:
        daemon.kill()
    return config


async def goes_on(air: Air, running: Divided, worker: int, device: Device, seq: int) -> None:
    """A reading that two forwarders hear is taken by its worker, and receipted; nobody else takes it."""
    before = running.stats(worker).durable
    assert max(await receipted(air, device, seq)) == seq
    await stored(running, worker, device, seq)
    assert running.stats(worker).durable == before + 1, f"a copy was counted as a reading: {running.said()}"
    assert held(running, COUNT + 1 - worker, device) == 0


def test_a_gateway_is_divided_and_killed_and_loses_nothing_that_was_receipted(tmp_path: Path) -> None:
    asyncio.run(_divided_and_killed(City(tmp_path)))


async def _divided_and_killed(city: City) -> None:
    port = free_udp_port()
    olds = {worker: [device_of(city, worker) for _ in range(2)] for worker in range(1, COUNT + 1)}
    news = {worker: device_of(city, worker) for worker in olds}
    await one_process(city, port, [device for devices in olds.values() for device in devices])
    config = workers_config(city, port)
    said = await asyncio.to_thread(divided, config)
    assert said.count(": 2 sessions") == COUNT, said
    running = Divided(config, port)
    try:
        await asyncio.to_thread(running.start)
        async with listening(Air(port)) as air:
            for worker, devices in olds.items():
                for device in devices:
                    await goes_on(air, running, worker, device, 3)
                await joined(air, news[worker])
                assert of_address(news[worker].live.dev_addr, COUNT) == worker - 1
                await goes_on(air, running, worker, news[worker], 1)
            await _killed_worker(air, running, olds)
            await asyncio.to_thread(running.kill_front)
            await asyncio.to_thread(lambda: running.start_front().wait_for("front_open", timeout_s=START_S))
            said = await asyncio.to_thread(gateway, config, "reload")
            assert said.returncode == 0, said
            assert [line for line in said.stdout.splitlines() if line.startswith("==")] == [
                "== worker-1", "== worker-2", "== front",
            ]  # fmt: skip
            for forwarder in air.forwarders:  # as it does every ten seconds or so
                forwarder.send_pull()
            for worker, devices in olds.items():
                await goes_on(air, running, worker, devices[0], 5)
                assert all(device.held >= {1, 2, 3} for device in devices)
        assert await asyncio.to_thread(running.stop) == [0, 0, 0], running.said()
    except BaseException as error:
        error.add_note(running.said())
        raise
    finally:
        running.kill()


async def _killed_worker(air: Air, running: Divided, devices: dict[int, list[Device]]) -> None:
    """While worker 2 is away its frames are acknowledged to nobody, and those of worker 1 go on."""
    gone, here = devices[2][0], devices[1][0]
    for error in ("COLLISION_PACKET", "TOO_LATE"):  # another worker's is on the air; the front or a worker was busy
        first, second = await refused(air, here, 3, error)
        assert air.window(first) != air.window(second) or first.gateway != second.gateway, error
    running.workers[2].kill()
    status = await asyncio.to_thread(gateway, running.config, "status")
    assert status.returncode == 1
    assert "== front\nlink air: UDP" in status.stdout
    assert "== worker 2\ndoes not run" in status.stdout
    lost = air.forwarders[0].push(air.body(gone.readings(4)))
    await goes_on(air, running, 1, here, 4)
    kept = air.forwarders[0].push(air.body(here.readings(4)))
    await air.acknowledged(0, kept)
    assert lost not in await air.acknowledged(0), "a frame was acknowledged that no worker has"
    await asyncio.to_thread(until, lambda: running.count("worker_2_unanswered") >= 1, "the front to count it")
    running.start_worker(2)
    await asyncio.to_thread(running.workers[2].wait_for, "lora_open", 1, START_S)
    assert held(running, 2, gone) == 3
    assert await receipted(air, gone, 4) == {1, 2, 3, 4}
    await stored(running, 2, gone, 4)


def test_the_front_has_metrics_on_loopback() -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = {
        "counters": {"air_push_data": 7},
        "links": [
            {"name": "air", "workers": [{"worker": 2, "away": True}], "gateways": [{"eui": "aa", "away": False}]}
        ],
    }
    page = metrics.Page(f"127.0.0.1:{port}", lambda: found)
    page.open()
    with closing(page):
        text = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read().decode()
    for line in (
        'lykta_front_events_total{event="air_push_data"} 7.0',
        'lykta_front_worker_there{link="air",worker="2"} 0.0',
        'lykta_front_forwarder_there{forwarder="aa",link="air"} 1.0',
        "process_cpu_seconds_total",
    ):
        assert line in text, text


def test_a_front_whose_metrics_port_is_taken_hears_forwarders_and_says_it(tmp_path: Path) -> None:
    city = City(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = workers_config(city, free_udp_port())
        config.write_text(f'{config.read_text()}\n[operate]\nlisten = "127.0.0.1:{port}"\n')
        divided(config)
        front = Daemon(config, word="front")
        try:
            front.wait_for("front_open", timeout_s=START_S)
            assert "already in use" in front.wait_for("metrics_absent")["why"].lower()
            said = gateway(config, "status").stdout
            assert f" ! its metrics are absent: 127.0.0.1:{port}: Address already in use\n" in said
            assert f"   next: ss -ltnp 'sport = :{port}' names the program that has the port" in said
            taken.close()
            until(lambda: "metrics" not in gateway(config, "status").stdout, "the front to have its port")
            assert b"lykta_front_events" in urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read()
            assert front.stop() == 0
        finally:
            front.kill()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("count = 9", "workers.count"),
        ('count = 2\n[[links]]\ntype = "serial"\nname = "bench"\nport = "/dev/ttyACM0"', "which one process opens"),
        ('count = 2\n[[platforms]]\ntype = "files"\nname = "day"\npath = "/srv/day"', "a relative path gives each"),
    ],
)
def test_what_several_workers_cannot_have_is_refused(tmp_path: Path, change: str, why: str) -> None:
    city = City(tmp_path)
    config = workers_config(city, 1700)
    text, changed = re.subn(r"count = 2\nport = \d+", lambda _: change, config.read_text())
    assert changed == 1
    config.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(why)):
        config_file.load(config)
    city.registry.close()


def test_each_worker_has_ports_of_its_own_and_devices_of_its_own(tmp_path: Path) -> None:
    city = City(tmp_path)
    config = workers_config(city, 1700)
    config.write_text(f'{config.read_text()}\n[operate]\nlisten = "127.0.0.1:8470"\n')
    divided(config)
    front, *workers = (config_file.load(config, number) for number in range(COUNT + 1))
    assert front.links[0].bind.endswith(":1700")  # type: ignore[attr-defined]
    binds = {each.links[0].bind for each in workers}  # type: ignore[attr-defined]
    assert len(binds) == COUNT
    assert all(bind.startswith("127.0.0.1:") for bind in binds)
    assert [each.config.operate.listen for each in (front, *workers)] == [
        "127.0.0.1:8470", "127.0.0.1:8471", "127.0.0.1:8472",
    ]  # fmt: skip
    assert [each.config.network.options().share.index for each in workers] == [0, 1]
    assert len({each.state_dir for each in workers}) == COUNT
    city.registry.close()

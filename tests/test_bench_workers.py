# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The bench beside a gateway of several workers: the monitor, the doctor and the proof of a join know each of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from provisioning.bench import gateway_doctor, gateway_status, joined
from provisioning.bench.errors import NoGateway
from provisioning.bench.gateway_parts import MARKER, front_of, workers
from provisioning.bench.monitoring import GatewaySource
from provisioning.cli import main
from tests.gateway_rig import City, Device, until
from tests.lora_rig import Air
from tests.test_bench_gateway import LAMP
from tests.workers_rig import COUNT, Divided, device_of, on_air, receipted
from tests.workers_rig import joined as has_joined

pytestmark = pytest.mark.timeout(600)
BOTH = range(1, COUNT + 1)


def test_each_workers_devices_are_heard_proven_and_examined(tmp_path: Path) -> None:
    asyncio.run(_each_worker(City(tmp_path)))


async def _each_worker(city: City) -> None:
    devices = {worker: device_of(city, worker) for worker in BOTH}
    strangers = {worker: device_of(city, worker) for worker in BOTH}
    for stranger in strangers.values():
        stranger.app_key = bytes(16)
    async with on_air(city) as (air, running):
        for worker, device in devices.items():
            known = await asyncio.to_thread(joined.before, running.config, device.dev_eui)
            assert known is None
            await has_joined(air, device)
            await receipted(air, device, 1)
            heard = await asyncio.to_thread(joined.wait, running.config, device.dev_eui, None, "lora", 120.0)
            assert (heard.link, heard.seq) == ("air", 1), (worker, heard)
        found = await asyncio.to_thread(gateway_status.sightings, running.config)
        assert {each.dev_eui for each in found} == {each.dev_eui.hex() for each in devices.values()}
        assert [each.heard_at for each in found] == sorted((each.heard_at for each in found), reverse=True)
        assert found == await asyncio.to_thread(gateway_status.sightings, running.root), "its state directory"
        await _monitored(air, running, devices)
        await _refused(air, running, strangers)
        await _without_worker_2(air, running, devices)


async def _monitored(air: Air, running: Divided, devices: dict[int, Device]) -> None:
    source = await asyncio.to_thread(GatewaySource, running.config)
    for device in devices.values():
        await receipted(air, device, 2)
    shown: set[tuple[str, int | None]] = set()

    def all_seen() -> bool:
        shown.update((frame.dev_eui, frame.seq) for frame in source.look())
        return {(each.dev_eui.hex(), 2) for each in devices.values()} <= shown

    await asyncio.to_thread(until, all_seen, "the second reading of each device", 60)


async def _refused(air: Air, running: Divided, strangers: dict[int, Device]) -> None:
    for worker, stranger in strangers.items():
        air.push(stranger.join_request())
        kept = running.folder(worker) / gateway_doctor.QUARANTINE_FILE
        await asyncio.to_thread(until, kept.exists, f"worker {worker} to refuse", 60)
    found = await asyncio.to_thread(gateway_doctor.examine, running.config)
    said = [each.what for each in found if each.name == "running"]
    assert said[0] == "the front runs"
    for worker in BOTH:
        pid = running.workers[worker].process.pid
        assert any(each.startswith(f"worker {worker} runs as process {pid} ") for each in said), said
    refused = {each.next_step.split()[-1] for each in found if each.name == "refused_not_authentic"}
    assert refused == {each.dev_eui.hex() for each in strangers.values()}
    one = strangers[2].dev_eui.hex()
    only = await asyncio.to_thread(gateway_doctor.examine, running.config, only=one)
    assert [each.level for each in only if each.name.startswith("refused")] == ["fault"]


async def _without_worker_2(air: Air, running: Divided, devices: dict[int, Device]) -> None:
    """What worker 1 has is known all the same; who is away is named, with the service to start."""
    source = await asyncio.to_thread(GatewaySource, running.config)
    running.workers[2].kill()
    await receipted(air, devices[1], 3)

    def seq() -> int:
        return joined.wait(running.config, devices[1].dev_eui, None, "lora", 60.0).seq

    await asyncio.to_thread(until, lambda: seq() == 3, "the proof by worker 1", 60)
    frames = await asyncio.to_thread(source.look)
    assert {each.dev_eui for each in frames} == {devices[1].dev_eui.hex()}
    with pytest.raises(NoGateway, match="worker 2 of this gateway does not run"):
        await asyncio.to_thread(joined.wait, running.config, devices[2].dev_eui, None, "lora", 0.5)
    with pytest.raises(NoGateway, match="worker 2") as stopped:  # asked before a board is touched
        await asyncio.to_thread(joined.before, running.config, devices[1].dev_eui)
    assert "systemctl start lykta-gateway-worker@2" in stopped.value.next_step
    found = await asyncio.to_thread(gateway_doctor.examine, running.config)
    (away,) = [each for each in found if each.name == "not_running"]
    assert (away.level, "lykta-gateway-worker@2" in away.next_step) == ("fault", True)
    running.start_worker(2)
    await asyncio.to_thread(running.workers[2].wait_for, "lora_open")


def configured(folder: Path, count: int = 2) -> Path:
    (folder / "state").mkdir()
    path = folder / "gateway.toml"
    path.write_text(f'[gateway]\nstate_dir = "state"\n[workers]\ncount = {count}\n')
    return path


@pytest.mark.parametrize(
    ("marker", "state", "step"),
    [
        (None, "that of one process, and its configuration asks for 2 workers", "lykta-gateway divide"),
        ('{"count": 3, "folder": "d"}', "that of 3 workers, and its configuration asks for 2", "lykta-gateway divide"),
        ("", "Nobody can tell where", "restore that file"),
        ("[]", "Nobody can tell where", "restore that file"),
        ('{"count": 2}', "Nobody can tell where", "restore that file"),
        ('{"count": "two", "folder": "d"}', "Nobody can tell where", "restore that file"),
    ],
)
def test_a_division_that_cannot_be_told_is_said(
    marker: str | None, state: str, step: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configured(tmp_path)
    if marker is not None:
        (tmp_path / "state" / MARKER).write_text(marker)
    with pytest.raises(NoGateway, match=state) as refused:
        joined.before(path, LAMP)
    assert step in refused.value.next_step
    assert str(tmp_path / "state" / MARKER) == str(refused.value.value)
    assert main(["monitor", "--gateway", str(path)]) == 1
    assert state in capsys.readouterr().err
    (found,) = [each for each in gateway_doctor.examine(path) if each.name == "not_divided"]
    assert (found.level, step in found.next_step) == ("fault", True)


def test_a_front_that_does_not_run_is_said(tmp_path: Path) -> None:
    path = configured(tmp_path)
    (tmp_path / "state" / MARKER).write_text(json.dumps({"count": 2, "folder": "of-2"}))
    with pytest.raises(NoGateway, match="front of this gateway does not run") as stopped:
        gateway_status.sightings(path)
    assert "systemctl start lykta-gateway-front" in stopped.value.next_step
    assert [each.folder for each in workers(path)] == [tmp_path / "state" / "of-2" / f"worker-{n}" for n in BOTH]


def test_one_process_after_several_is_one_again(tmp_path: Path) -> None:
    path = configured(tmp_path, count=1)
    (tmp_path / "state" / MARKER).write_text(json.dumps({"count": 1, "folder": "of-1"}))
    (one,) = workers(path)
    assert (one.folder, one.option, front_of(path)) == (tmp_path / "state" / "of-1" / "worker-1", "", None)

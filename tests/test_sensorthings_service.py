# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""SensorThings against a service of others: django-ogc-sensorthings, in an environment of its own, on loopback.

`make sensorthings-test` installs it (tools/sensorthings.sh) and runs this; SENSORTHINGS_URL names another service.
"""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.releases.release import release
from tests.output_rig import OutputRig
from tests.releases_rig import START_S, Register, facts, item, rules

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / "build/sensorthings/bin/python"
PATIENCE_S = 120.0
NUMBERS = frozenset({"dim_pct", "power_w"})
"""Section 8.2.4 wants null for the unit of a truth value, and not every service takes that."""

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Service:
    """The service of build/sensorthings with a database of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "service.log"
        self._listen = f"127.0.0.1:{port}"
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "tests.sensorthings_settings",
            "LYKTA_THINGS_URL": self.url,
            "LYKTA_THINGS_DATABASE": str(folder / "things.sqlite"),
        }
        self._process: subprocess.Popen[bytes] | None = None
        made = subprocess.run(
            [PYTHON, "-m", "django", "migrate", "-v0"], env=self._environment, capture_output=True, timeout=PATIENCE_S
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def start(self) -> None:
        """Return when it answers."""
        command = [PYTHON, "-m", "django", "runserver", "--noreload", self._listen]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        end_s = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end_s, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process that was started here."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def asked(self, what: str) -> int:
        """How often it was asked for something."""
        return self.log.read_text().count(f'"{what} ')

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v1.1/Things", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture
def service(tmp_path: Path, free_port: int) -> Iterator[Service]:
    assert PYTHON.exists(), "the service is not installed: `make sensorthings-test` installs it and runs this"
    made = Service(tmp_path, free_port)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """Of the service that SENSORTHINGS_URL names, without /v1.1, or of ours."""
    named = os.environ.get("SENSORTHINGS_URL")
    return named or request.getfixturevalue("service").url


def register(name: str, lamps: int, declared: frozenset[str] = NUMBERS) -> Register:
    made = Register()
    made.known = {
        f"{number:016x}": facts("street_light", device_id=f"{name}-{number}", declared=declared)
        for number in range(1, lamps + 1)
    }
    return made


def observed(url: str, stream: str) -> list[Any]:
    """The results of a Datastream, by time."""
    query = {"$filter": f"name eq '{stream}'", "$expand": "Thing"}
    (found,) = httpx.get(f"{url}/v1.1/Datastreams", params=query, timeout=60).json()["value"]
    assert stream.startswith(found["Thing"]["name"])
    observations, link = [], f"{found['@iot.selfLink']}/Observations?$top=100"
    while link:
        page = httpx.get(link, timeout=60).json()
        observations += page["value"]
        link = page.get("@iot.nextLink")
    return sorted(observations, key=lambda each: str(each["phenomenonTime"]))


async def test_entities_are_made_once_and_every_observation_is_there(tmp_path: Path, url: str) -> None:
    name, counts = f"TEST-{secrets.token_hex(4)}", []
    for part in ("first", "second"):  # the second process knows nothing of the first
        (tmp_path / part).mkdir()
        async with OutputRig(tmp_path / part, {"type": "sensorthings", "url": url}, register(name, 2)) as one:
            one.lights([1, 2], 3)
            await one.all_taken()
            assert (one.counted("delivered"), one.counted("set_aside")) == (6, 0)
            counts.append(one.counted("made_datastreams"))
    assert counts == [4, 0]
    for field in ("dim", "power"):
        assert len(observed(url, f"{name}-1 {field}")) == 6


async def test_observations_go_in_batches_and_an_outage_loses_none(tmp_path: Path, service: Service) -> None:
    (tmp_path / "one").mkdir()
    table = {"type": "sensorthings", "url": service.url, "batch": 100}
    async with OutputRig(tmp_path / "one", table, register("LAMP", 5)) as one:
        one.lights(range(1, 6), 40)
        await one.all_taken()
        assert service.asked("POST /v1.1/CreateObservations") <= 5, "200 readings, 400 observations"
        service.stop()
        one.lights(range(1, 6), 10)
        await one.until(lambda: one.counted("connection_failed"))
        service.start()
        await one.all_taken()
        assert (one.counted("delivered"), one.counted("set_aside")) == (250, 0)
        assert one.counted("made_datastreams") == 10
    for number in range(1, 6):
        found = observed(service.url, f"LAMP-{number} power")
        assert [each["result"] for each in found] == [60.5] * 50
        assert len({each["phenomenonTime"] for each in found}) == 50
        assert len({each["parameters"]["record"] for each in found}) == 50


async def test_what_the_service_does_not_take_is_set_aside_and_nothing_else(tmp_path: Path, service: Service) -> None:
    known = register("LAMP", 1, NUMBERS | {"lamp_on"})
    (tmp_path / "one").mkdir()
    async with OutputRig(tmp_path / "one", {"type": "sensorthings", "url": service.url}, known) as one:
        one.lights([1], 3)
        await one.all_taken()
        assert one.counted("set_aside") in (0, 3), "a truth value has no unit"
        partner: Any = one.platform._partner  # type: ignore[attr-defined]
        outcome = release(item("street_light", 1, 9, power_w=7.5), known.known[f"{1:016x}"], rules())
        assert outcome.released is not None
        assert not await partner.deliver([outcome.released])
    found = observed(service.url, "LAMP-1 power")
    assert sorted(each["result"] for each in found) == [7.5, 60.5, 60.5, 60.5]
    assert min(each["phenomenonTime"] for each in found) > time.strftime("%Y", time.gmtime(START_S))

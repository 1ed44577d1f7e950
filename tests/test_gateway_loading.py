# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A gateway has in memory what its configuration asks for, and no server of a page that nobody reads."""

import subprocess
import sys

from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, Device, Port, until

NOT_LOADED = {"alembic", "httpx", "psycopg", "pyarrow", "sqlalchemy", "starlette", "typer", "uvicorn"}
"""What the tool loads, and what only other registers, platforms and settings need."""
OFTEN = "[guidelines]\nevery_s = 0.2\n"


def loaded(code: str) -> set[str]:
    """Names of the packages that a fresh Python has loaded after *code*."""
    program = f"import sys; {code}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name.partition(".")[0] for name in done.stderr.split()}


def test_only_the_status_page_needs_what_serves_it() -> None:
    web = {"uvicorn", "starlette", "click"}
    assert not loaded("import gateway.cli, gateway.daemon") & web
    assert web <= loaded("import gateway.operate.web.serving")


def test_a_gateway_that_has_done_its_work_has_loaded_no_more_than_that_needs(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    stranger = Device(bytes.fromhex("70b3d57ed000ffff"), device.join_eui, device.app_key)
    daemon = Daemon(city.config(port.path, mosquitto.port, OFTEN), module="tests.listed_gateway")
    daemons.append(daemon)
    daemon.ready()
    daemon.wait_for("serial_open")
    port.send(stranger.join_request())
    daemon.wait_for("rule_broken")  # the register was asked for devices, keys and roll-outs, and the rules were judged
    port.join(device)
    port.send(device.readings(1, oldest=1))
    until(lambda: daemon.counters("readings").get("new") == 1, "the reading")
    assert daemon.stop() == 0
    loaded = {name.partition(".")[0] for name in daemon.wait_for("loaded")["modules"]}
    assert {"gateway", "provisioning", "sqlite3"} <= loaded
    assert not loaded & NOT_LOADED


def test_a_front_loads_nothing_of_a_worker() -> None:
    program = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from gateway.cli import main
main(["front", "--help"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    modules = set(done.stderr.split())
    assert "gateway.front.service" in modules
    assert not modules & {"gateway.daemon", "gateway.intake", "provisioning.reader"}

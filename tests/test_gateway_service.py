# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What systemd sees of the gateway: readiness, watchdog, the journal; and what the log holds back."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import watchdog
from gateway.operate import journal, logs, notify
from gateway.operate.stages import Stages
from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon
from tests.outbox_rig import TestClock
from tests.systemd_rig import heard


@pytest.fixture
def gateway_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("lykta.gateway")
    before = logger.handlers[:], logger.propagate, logger.level
    yield logger
    for handler in logger.handlers:
        handler.close()
    logger.handlers[:], logger.propagate, logger.level = before


def test_systemd_is_told_of_start_life_reload_and_end(
    tmp_path: Path, mosquitto: Mosquitto, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    daemon = Daemon(City(tmp_path / "city").config(tmp_path / "none", mosquitto.port))
    try:
        assert heard(systemd, "READY")["STATUS"] == "1 links, 1 platforms"
        for _ in range(3):
            heard(systemd, "WATCHDOG")
        daemon.process.send_signal(1)
        began = heard(systemd, "RELOADING")
        assert int(began["MONOTONIC_USEC"]) > 0
        assert "reloaded" in heard(systemd, "READY")["STATUS"]
        assert daemon.stop() == 0
        assert heard(systemd, "STOPPING")["STOPPING"] == "1"
    finally:
        daemon.kill()


def test_the_watchdog_starves_while_any_stage_is_stuck(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    systemd.setblocking(False)
    clock = TestClock()
    stages = Stages(clock)
    stages.add("intake and disk", 60)

    async def told(turns: int) -> int:
        """Turn the watchdog's loop; return how often it fed."""
        probes = asyncio.Semaphore(0)
        task = asyncio.ensure_future(watchdog.watch(stages, probes.release))
        for _ in range(turns):
            await probes.acquire()
        task.cancel()
        fed = 0
        while True:
            try:
                fed += systemd.recv(64) == b"WATCHDOG=1"
            except BlockingIOError:
                return fed

    assert asyncio.run(told(1)) == 1
    clock.sleep(61)
    assert [state.name for state in stages.stuck()] == ["intake and disk", "event loop"]
    assert asyncio.run(told(2)) == 0
    stages.beat("intake and disk")
    assert asyncio.run(told(1)) == 1
    clock.sleep(61)
    stages.remove("intake and disk")
    assert asyncio.run(told(1)) == 1


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("30000000", "", 30.0), ("0", "", None), ("often", "", None), ("30000000", "1", None), (None, "", None)],
)
def test_the_watchdogs_time_is_what_systemd_says(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str, seconds: float | None
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    if usec is not None:
        monkeypatch.setenv("WATCHDOG_USEC", usec)
    assert notify.watchdog_s() == seconds


def test_nobody_listens_and_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    assert not notify.notify("READY=1")


def test_a_socket_that_nobody_reads_holds_up_nobody_and_is_told_later(systemd: socket.socket) -> None:
    fillers = 0
    while notify.notify(f"STATUS={fillers}"):  # one that waits would hang here
        fillers += 1
    for word in (notify.fed(), notify.reloading(), notify.fed(), notify.ready("done"), notify.fed()):
        assert word is False
    said = [systemd.recv(4096).decode() for _ in range(fillers)]
    assert said == [f"STATUS={number}" for number in range(fillers)]
    assert notify.fed()
    assert [systemd.recv(4096).decode().partition("\n")[0] for _ in range(4)] == [
        f"STATUS={fillers}",
        "RELOADING=1",
        "READY=1",
        "WATCHDOG=1",
    ]


def entry_of(datagram: bytes) -> dict[str, str]:
    """Parse the journal's native format, as journald does."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        if b"=" in line:
            name, _, value = line.partition(b"=")
            datagram = rest
        else:
            size = int.from_bytes(rest[:8], "little")
            name, value, datagram = line, rest[8 : 8 + size], rest[9 + size :]
        fields[name.decode()] = value.decode()
    return fields


def test_the_journal_gets_fields_to_search_by(tmp_path: Path, gateway_logger: logging.Logger) -> None:
    path = tmp_path / "j"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(path))
        logs.set_up("journal", "debug")
        handler = gateway_logger.handlers[0]
        assert isinstance(handler, journal.JournalHandler)
        handler._path = str(path)
        log = logs.EventLog("links.serial")
        log.error("outbox_full", dev_eui=b"\x01\xff", why="two\nlines = 2", app_key="0123")
        log.info("joined")
        try:
            int("seen")
        except ValueError:
            log.exception("failed")
        entries = [entry_of(journald.recv(65536)) for _ in range(3)]
        path.unlink()
        log.info("nobody hears it")
    first, second, third = entries
    assert first["PRIORITY"] == "3"
    assert first["MESSAGE_ID"] == journal.message_id("outbox_full")
    assert (first["LYKTA_EVENT"], first["LYKTA_AREA"]) == ("outbox_full", "links.serial")
    assert (first["LYKTA_DEV_EUI"], first["LYKTA_WHY"]) == ("01ff", "two\nlines = 2")
    assert "0123" not in str(first)
    assert first["SYSLOG_IDENTIFIER"] == "lykta-gateway"
    assert (second["PRIORITY"], second["MESSAGE"]) == ("6", "links.serial: joined")
    assert "MESSAGE_ID" not in second
    assert third["PRIORITY"] == "3"
    assert "Traceback" in third["MESSAGE"]


def test_the_journal_is_chosen_when_stderr_leads_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert journal.is_journal(stream)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
        assert not journal.is_journal(stream)
        monkeypatch.delenv("JOURNAL_STREAM")
        assert not journal.is_journal(stream)


def test_a_flood_of_log_entries_is_held_back_and_counted(
    gateway_logger: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now_s[0])
    logs.set_up("auto", "debug")
    log = logs.EventLog("flood")
    for number in range(5000):
        log.info("chatter", number=number)
    log.error("important")
    now_s[0] += logs.WINDOW_S
    log.info("later")
    entries = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(entries) == logs.MAX_ENTRIES + 2
    assert [entry["event"] for entry in entries[-2:]] == ["important", "later"]
    assert entries[-1]["entries_held_back"] == 5000 - logs.MAX_ENTRIES


def test_a_field_that_is_named_like_a_secret_is_not_shown(
    gateway_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    del gateway_logger
    logs.set_up("json")
    logs.EventLog("x").info("made", app_key="aa", nwk_skey=b"bb", kek="cc", token="dd", password="ee", key="shown")
    entry = json.loads(capsys.readouterr().err)
    assert {name for name, value in entry.items() if value == "(not shown)"} == {
        "app_key", "nwk_skey", "kek", "token", "password",
    }  # fmt: skip
    assert entry["key"] == "shown"

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta platform test`: what a platform speaks, against mosquitto and a peer in this process, right and broken."""

import base64
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.cli import main
from provisioning.conformance import http as conformance_http
from tests.city import wait_until
from tests.conftest import Mosquitto
from tests.mqtt_rig import Authority
from tests.platform_peer import OPENAPI, NgsiLd, Peer, Reply, as_json, sensorthings, serving

TOKEN = "a-token-that-nobody-may-see"
Lykta = Callable[..., str]


@pytest.fixture
def lykta(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lykta:
    monkeypatch.delenv("LYKTA_DEBUG", raising=False)
    monkeypatch.setenv("PLATFORM_TOKEN", TOKEN)

    def run(*arguments: str, code: int = 0) -> str:
        found = main(["-C", str(tmp_path / "city"), *arguments])
        output = capsys.readouterr()
        assert TOKEN not in output.out + output.err
        assert found == code, output.out + output.err
        return output.out + (output.err if "--json" not in arguments else "")

    run("init", "--city", "Lyktby")
    run("org", "add", "kommunstyrelsen", "--name", "KS", "--kind", "namnd")
    return run


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving() as found:
        yield found


def add(lykta: Lykta, kind: str, url: str, *more: str, code: int = 0) -> str:
    options = ("--name", "Integration", "--kind", "common", "--responsible", "kommunstyrelsen")
    return lykta("platform", "add", "INT-01", *options, "--api-kind", kind, "--api-url", url, *more, code=code)


def outcome(lykta: Lykta, *options: str, code: int = 0) -> dict[str, Any]:
    if "--timeout" not in options:  # ends with the answer; a busy machine may be slow to give it
        options = (*options, "--timeout", "60")
    found: dict[str, Any] = json.loads(lykta("platform", "test", "INT-01", "--json", *options, code=code))
    assert found["passed"] == (code == 0)
    (kept,) = json.loads(lykta("platform", "list", "--json"))
    assert kept["api_test"]["passed"] == found["passed"]
    assert [each["outcome"] for each in kept["api_test"]["steps"]] == [each["outcome"] for each in found["steps"]]
    return found


def last(found: dict[str, Any]) -> dict[str, str]:
    """The step that failed: it says what is wrong, why it matters and what to do next."""
    step: dict[str, str] = next(each for each in found["steps"] if each["outcome"] == "failed")
    assert step["state"] and step["found"] and step["reason"] and step["next_step"]
    return step


def test_a_broker_speaks_both_versions_and_the_log_keeps_it(lykta: Lykta, mosquitto: Mosquitto) -> None:
    add(lykta, "mqtt", f"mqtt://127.0.0.1:{mosquitto.port}")
    told = lykta("platform", "test", "INT-01")
    assert told.count("passed") == 9 and "MQTT 5: publish and PUBACK" in told
    names = [each["name"] for each in outcome(lykta)["steps"]]
    assert names == [
        f"{version}: {step}"
        for version in ("MQTT 5", "MQTT 3.1.1")
        for step in ("connect", "subscribe", "publish and PUBACK", "the message comes back")
    ]
    entries = json.loads(lykta("log", "show", "INT-01", "--json"))
    assert [each["action"] for each in entries] == ["platform.add", "platform.test", "platform.test"]
    lykta("log", "verify")
    add(lykta, "mqtt", "mqtt://127.0.0.1:1", "--replace")  # another interface: what was tested is not this one
    assert "api_test" not in json.loads(lykta("platform", "list", "--json"))[0]


def test_a_broker_that_forbids_the_topic_fails(lykta: Lykta, mosquitto: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic readwrite city/#\n")
    mosquitto.stop()
    mosquitto.config.write_text(mosquitto.config.read_text() + f"acl_file {tmp_path}/acl\n")
    mosquitto.start()
    add(lykta, "mqtt", f"mqtt://127.0.0.1:{mosquitto.port}")
    step = last(outcome(lykta, "--timeout", "5", code=1))
    assert step["name"].startswith("MQTT 5: ") and "--topic" in step["next_step"]
    assert len(outcome(lykta, "--topic", "city/test")["steps"]) == 8


def test_a_broker_with_tls_is_known_by_its_authority(lykta: Lykta, mosquitto: Mosquitto, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("broker")
    mosquitto.stop()
    lines = f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\n"
    mosquitto.config.write_text(mosquitto.config.read_text() + lines)
    mosquitto.start()
    add(lykta, "mqtt", f"mqtts://127.0.0.1:{mosquitto.port}")
    step = last(outcome(lykta, code=1))
    assert "certificate" in step["state"] and "--ca" in step["next_step"]
    assert "TLS" in outcome(lykta, "--ca", str(authority.path))["steps"][0]["found"]


def test_no_broker_and_something_else_in_its_place(lykta: Lykta, peer: Peer, free_port: int) -> None:
    add(lykta, "mqtt", f"mqtt://127.0.0.1:{free_port}")
    assert "cannot be reached" in last(outcome(lykta, code=1))["state"]
    add(lykta, "mqtt", peer.url.replace("http", "mqtt"), "--replace")
    assert last(outcome(lykta, "--timeout", "2", code=1))["name"].endswith(": connect")


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "https"])
def test_who_takes_the_connection_and_says_nothing_is_not_waited_for(lykta: Lykta, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kind = "openapi" if scheme == "https" else "mqtt"
        add(lykta, kind, f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
        steps = outcome(lykta, "--timeout", "1", code=1)["steps"]
        assert [each["outcome"] for each in steps] == (["absent", "failed"] if scheme == "mqtt" else ["failed"])


def test_a_broker_of_3_1_1_alone_lacks_version_5_and_passes(lykta: Lykta, free_port: int) -> None:
    """amqtt, the demo's broker, which knows nothing newer."""
    program = [sys.executable, "-m", "provisioning.demo.amqtt_broker", str(free_port)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker:
        try:
            wait_until(lambda: _accepts(free_port), "amqtt to listen")
            add(lykta, "mqtt", f"mqtt://127.0.0.1:{free_port}")
            steps = outcome(lykta, "--timeout", "8")["steps"]  # to version 5 it says nothing at all
        finally:
            broker.terminate()
            broker.wait(60)
    assert [each["outcome"] for each in steps] == ["absent", *["passed"] * 4]


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_sensorthings(lykta: Lykta, peer: Peer) -> None:
    peer.answer = sensorthings(peer.url)
    add(lykta, "sensorthings", f"{peer.url}/v1.1")
    assert len(outcome(lykta, "--token-ref", "env:PLATFORM_TOKEN")["steps"]) == 3
    assert {each[2] for each in peer.asked} == {f"Bearer {TOKEN}"}
    root = json.loads(sensorthings(peer.url)("GET", "/v1.1", b"").body)
    for change, says in (
        ({"value": root["value"][1:]}, "lacks entity sets"),
        ({"serverSettings": {"conformance": ["http://www.opengis.net/spec/iot_sensing/1.0/req"]}}, "claim"),
        ({"serverSettings": None}, "claim"),
        ({"value": "x"}, "lists no entity sets"),
    ):
        peer.answer = lambda _m, _p, _b, body={**root, **change}: as_json(body)  # type: ignore[misc]
        assert says in last(outcome(lykta, code=1))["state"]


def test_ngsi_ld_with_and_without_an_entity(lykta: Lykta, peer: Peer) -> None:
    broker = NgsiLd()
    peer.answer = broker
    add(lykta, "ngsi-ld", peer.url)
    assert len(outcome(lykta)["steps"]) == 1
    assert len(outcome(lykta, "--write")["steps"]) == 5
    assert broker.entities == {}

    def forgets(method: str, path: str, body: bytes) -> Reply:
        wrong = method == "GET" and "LyktaTest" in path
        return as_json({"id": "urn:x"}) if wrong else broker(method, path, body)

    peer.answer = forgets
    assert last(outcome(lykta, "--write", code=1))["name"] == "NGSI-LD: read it"
    assert broker.entities == {}  # what the test made is gone all the same
    peer.answer = lambda _m, _p, _b: Reply(200, b"<html>", "text/html")
    assert "neither JSON" in last(outcome(lykta, code=1))["state"]
    peer.answer = lambda _m, _p, _b: as_json(["Streetlight"])
    assert "EntityTypeList" in last(outcome(lykta, code=1))["state"]


def test_an_openapi_document(lykta: Lykta, peer: Peer) -> None:
    peer.answer = lambda _m, _p, _b: as_json(OPENAPI)
    add(lykta, "openapi", f"{peer.url}/openapi.json")
    assert [each["found"] for each in outcome(lykta)["steps"]] == ["OpenAPI 3.0.3: City data 1", "1 operations"]
    for document, says in (
        ([], "no OpenAPI object"),
        ({"swagger": "2.0"}, "3.0 or 3.1"),
        ({**OPENAPI, "info": {"title": "x"}}, "info.version"),
        ({**OPENAPI, "paths": None}, "no paths"),
        ({**OPENAPI, "paths": {"readings": {}}}, "no path"),
        ({**OPENAPI, "paths": {"/x": {"get": {}}}}, "responses"),
    ):
        peer.answer = lambda _m, _p, _b, body=document: as_json(body)  # type: ignore[misc]
        assert says in last(outcome(lykta, code=1))["state"]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(500, b"token: " + TOKEN.encode()), "500 instead of 200"),
        (Reply(401), "401 instead of 200"),
        (Reply(200, b"<html>\x1b[31m"), "no JSON"),
        (Reply(200, b"[" * 100_000), "no JSON"),
        (Reply(302, headers=(("Location", "http://192.0.2.1/"),)), "another host"),
        (Reply(302, headers=(("Location", "http://[/"),)), "another host"),
        (Reply(302, headers=(("Location", "/again"),)), "again and again"),
        (Reply(200, b"x" * 5000), "longer than"),
        (Reply(200, b"{}", hold=threading.Event()), "did not answer within 1 s"),
    ],
    ids=["500", "401", "html", "deep", "elsewhere", "nowhere", "loop", "long", "hang"],
)
def test_a_platform_that_is_broken(
    lykta: Lykta, peer: Peer, reply: Reply, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if says == "longer than":
        monkeypatch.setattr(conformance_http, "MAX_ANSWER_BYTES", 4096)
    peer.answer = lambda _m, _p, _b: reply
    add(lykta, "openapi", f"{peer.url}/openapi.json")
    hang = reply.hold is not None
    found = outcome(lykta, "--token-ref", "env:PLATFORM_TOKEN", "--timeout", "1" if hang else "60", code=1)
    assert says in last(found)["state"]
    if reply.hold is not None:
        reply.hold.set()


def test_a_redirect_on_the_same_host_is_followed(lykta: Lykta, peer: Peer) -> None:
    there = Reply(301, headers=(("Location", "/v2.json"),))
    peer.answer = lambda _m, path, _b: as_json(OPENAPI) if path == "/v2.json" else there
    add(lykta, "openapi", f"{peer.url}/openapi.json")
    outcome(lykta, "--username", "city", "--password-ref", "env:PLATFORM_TOKEN")
    basic = "Basic " + base64.b64encode(f"city:{TOKEN}".encode()).decode()
    assert [each[1:] for each in peer.asked] == [("/openapi.json", basic), ("/v2.json", basic)]


def test_a_certificate_that_nobody_vouches_for(lykta: Lykta, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("broker")
    with serving((tmp_path / "broker.pem", tmp_path / "broker.key")) as peer:
        peer.answer = lambda _m, _p, _b: as_json(OPENAPI)
        add(lykta, "openapi", f"{peer.url}/openapi.json")
        step = last(outcome(lykta, code=1))
        assert "certificate" in step["state"] and "--ca" in step["next_step"]
        outcome(lykta, "--ca", str(authority.path))


def test_what_is_refused_before_anything_is_sent(lykta: Lykta, tmp_path: Path) -> None:
    assert "No platform with this id" in lykta("platform", "test", "INT-01", code=1)
    assert "mqtt or mqtts" in add(lykta, "mqtt", "https://example.org", code=1)
    assert "leave user and password out" in add(lykta, "openapi", "https://a:b@example.org/x", code=1)
    lykta("platform", "add", "INT-01", "--name", "I", "--kind", "common", "--responsible", "kommunstyrelsen")
    assert "--api-kind" in lykta("platform", "test", "INT-01", code=1)
    add(lykta, "openapi", "http://example.org/x", "--replace")
    told = lykta("platform", "test", "INT-01", "--token-ref", "env:PLATFORM_TOKEN", code=1)
    assert "in the clear" in told
    assert "--cert and --key" in lykta("platform", "test", "INT-01", "--cert", str(tmp_path / "x"), code=1)

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The grants of docs/register.md on a real PostgreSQL: they suffice for the office and for a gateway, and all are used.

What was used the server says itself: it logs every statement of these two users.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from firmware.wire import cbor, update
from firmware.wire.frame import JOIN_ACCEPT, mtype
from firmware.wire.readings import FPORT_UPDATE
from provisioning.city import City, create_city
from provisioning.cli import main
from provisioning.errors import RegisterError
from provisioning.guidelines import city_pack
from provisioning.model.datasets import Dataset
from provisioning.model.organisations import Organisation
from provisioning.model.platforms import Platform
from provisioning.outputs import Outputs, Wanted
from provisioning.register import moves, papers, rollouts, tables
from provisioning.register.registration import Options, register
from provisioning.register.signing import sign
from provisioning.register.stock import objects
from provisioning.registry import Registry
from provisioning.updates import keys, release, rollout
from tests import register_rig as rig
from tests.gateway_rig import Daemon, Device, Port, until
from tests.postgres import Postgres
from tests.update_rig import package

pytestmark = [pytest.mark.xdist_group("postgres"), pytest.mark.timeout(300)]

DOC = Path(__file__).parent.parent / "docs" / "register.md"
OFFICE, GATEWAY = "lykta_office", "lykta_gateway"
_ENTRY = r"\[{user}\] LOG:  (?:execute \S+|statement): (.*?)(?=\n\d{{4}}-\d\d-\d\d |\Z)"
Grants = set[tuple[str, str]]
"""Privilege and table."""
EUI = bytes.fromhex("70b3d57ed0000001")


def documented() -> list[str]:
    """The statements of the page."""
    found = re.search(r"<!-- grants: begin -->\n```sql\n(.*?)```\n<!-- grants: end -->", DOC.read_text(), re.S)
    assert found is not None
    return [each.strip() for each in found[1].split(";") if each.strip()]


def granted(statements: list[str], user: str) -> Grants:
    """What they give a user."""
    found: Grants = set()
    for statement in statements:
        parts = re.fullmatch(rf"GRANT (.+) ON (.+) TO {user}", statement)
        if parts is not None:
            privileges = re.sub(r"\(.*?\)", "", parts[1]).replace(" ", "").split(",")
            found |= {(each, table) for each in privileges for table in parts[2].replace(" ", "").split(",")}
    return found


def needed(log: str, user: str) -> Grants:
    """What a user's statements in a server's log needed."""
    found: Grants = set()
    for statement in re.findall(_ENTRY.format(user=user), log, re.S):
        kind = statement.split(None, 1)[0]
        names = re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE) (\w+)", statement)
        for table in set(names) & set(tables.metadata.tables):
            if kind in ("INSERT", "UPDATE", "DELETE"):
                found.add((kind, table))
            if kind != "INSERT":
                found.add(("SELECT", table))
    return found


class Place(NamedTuple):
    """A city in PostgreSQL whose office is the restricted user, and what the users used since."""

    city: City
    url: str
    owner: str
    server: Postgres
    used: Callable[[str], Grants]

    def as_gateway(self) -> Registry:
        return Registry.open(self.url.replace(OFFICE, GATEWAY), self.city.kek(), password="two")


@pytest.fixture
def place(postgres: Postgres, tmp_path: Path) -> Iterator[Place]:
    owner = postgres.url()
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    secret.write_text(postgres.password)
    home = tmp_path / "city"
    plain = owner.replace(f":{postgres.password}@", "@")
    create_city(home, "Lyktby", url=plain, password=f"file:{secret}")
    made = [each.replace("'...'", "'two'") for each in documented()]
    logged = [f"ALTER ROLE {user} SET log_statement = 'all'" for user in (OFFICE, GATEWAY)]
    postgres.run(owner, *made, *logged)
    before = len(postgres.log())
    url = plain.replace(f"//{postgres.user}@", f"//{OFFICE}@")
    config = home / "lykta.toml"
    config.write_text(config.read_text().replace(plain, url))
    secret.write_text("two")
    yield Place(City.open(home), url, owner, postgres, lambda user: needed(postgres.log()[before:], user))
    for user in (OFFICE, GATEWAY):
        postgres.run(owner, f"DROP OWNED BY {user}", f"DROP ROLE {user}")


def test_what_the_office_does_needs_what_it_is_granted(place: Place, tmp_path: Path) -> None:
    def lykta(*arguments: object) -> None:
        assert main(["-C", str(place.city.home), *map(str, arguments)]) == 0, arguments

    with place.city.registry() as registry:
        ciso = rig.fill(registry)
        with registry.change() as change:
            register(change, registry.keys(), [rig.record(1), rig.record(2)], Options())
            papers.put(change, dataset())
            with registry.reading() as connection:
                there = [*objects(connection, Platform)]
                there += [*objects(connection, Organisation)]
            for each in (dataset(), *there):
                papers.put(change, each, replace=True)
            papers.add_paper(change, sign(rig.waiver(1), "ciso-1", ciso.key))
        with registry.change() as change:
            papers.withdraw(change, "W-1", "no longer needed")
            papers.revoke_holder(change, "ciso-1")
            moves.move(change, "counter 2", "approved")
        with registry.change() as change:
            moves.retire(change, "counter 2", by="A. Person")
            register(change, registry.keys(), [rig.record(3)], Options())
        with registry.reading() as connection:
            assert [each.id for each in rollouts.every(connection)] == []
    key = rig.person("room").holder.public_key
    lykta(
        *("commander", "add", "room", "--name", "the room", "--org", "trafiknamnden"),
        *("--public-key", key, "--may", "dim"),
    )
    lykta("commander", "revoke", "room")
    lykta("gateway", "enroll", "gw-1", "--out", tmp_path / "gw-1", "--serial-port", "line")
    lykta("register", "--kind", "street_light", "--name", "lamp 1")
    lykta("update", "key")
    file = tmp_path / "spring.lyktaup"
    file.write_bytes(release.make(package(2), 5, keys.signing(place.city)).write())
    lykta("update", "plan", file)
    for command in (["start", "spring"], ["status"], ["abort", "spring"]):
        lykta("update", *command)
    lykta("keys", "rotate", "TRK-0001")
    lykta("keys", "rotate-kek")
    lykta("log", "verify")
    assert granted(documented(), OFFICE) == place.used(OFFICE)


def test_who_lacks_a_grant_is_told_where_it_stands(place: Place) -> None:
    place.server.run(place.owner, f"REVOKE INSERT ON devices FROM {OFFICE}")
    with (
        place.city.registry() as registry,
        pytest.raises(RegisterError, match="permission denied for table devices") as e,
    ):
        registry.register_device("street_light")
    assert "docs/register.md" in (e.value.next_step or "")
    with place.as_gateway() as registry:
        with pytest.raises(RegisterError, match="permission denied"), registry.change() as change:
            change.log("device.register", "somebody", {})
        with pytest.raises(RegisterError, match="permission denied"):
            registry.register_device("street_light")


def dataset() -> Dataset:
    at = {"license": "https://example.org/licence", "access_url": "https://example.org/flow"}
    contact = {"contact_name": "Data", "contact_email": "data@example.org"}
    words = {"title_sv": "Flöde", "description_sv": "Antal"}
    return Dataset.model_validate({"id": "FLOW", "publisher": "trafiknamnden", **at, **contact, **words})


def _planned(place: Place) -> Device:
    """A device, and a roll-out to it that is started; an output that may be judged, and who may command."""
    key = secrets.token_bytes(16)
    with place.city.registry() as registry:
        ciso = rig.fill(registry)
        found = registry.register_device("street_light", dev_eui=EUI, app_key=key, owner="trafiknamnden")
        with registry.change() as change, registry.stock() as stock:
            record = stock.device_by_eui(EUI.hex())
            assert record is not None and record.id is not None
            papers.add_paper(change, sign(rig.waiver(1, scope={"device_ids": (record.id,)}), "ciso-1", ciso.key))
            papers.put(change, dataset())
            stream = {"property": "traffic.flow.vehicle", "unit": "{veh}/min", "interval_s": 60}
            stream["openness"] = {"level": "open", "dataset_id": "FLOW"}
            people = {"level": "possible", "controller": "trafiknamnden"}
            register(change, registry.keys(), [rig.record(2, streams=[stream], personal_data=people)], Options())
    keys.create(place.city)
    made = release.make(package(2), 5, keys.signing(place.city))
    file = place.city.home / "spring.lyktaup"
    file.write_bytes(made.write())
    for command in (["plan", str(file), EUI.hex()], ["start", "spring"]):
        assert main(["-C", str(place.city.home), "update", *command]) == 0
    return Device(EUI, found.join_eui, key)


def _configured(place: Place, port: Port, folder: Path) -> Path:
    """A gateway's directory, with the register's restricted user."""
    out = folder / "gw"
    where = ("--out", str(out), "--serial-port", str(port.path), "--broker", "127.0.0.1:9")
    assert main(["-C", str(place.city.home), "gateway", "enroll", "gw", *where]) == 0
    config = out / "gateway.toml"
    text = config.read_text().replace(OFFICE, GATEWAY)
    assert "[guidelines]\n" in text
    config.write_text(text.replace("[guidelines]\n", "[guidelines]\nevery_s = 0.5\n"))
    return config


def _asks(device: Device, phy: bytes) -> bool:
    received = device.take(phy)
    return received.fport == FPORT_UPDATE and received.payload == bytes([update.ASK])


def _answered(port: Port, device: Device, daemon: Daemon) -> None:
    """Say how the update is, once the gateway asks."""
    for seq in range(1, 60):
        port.send(device.readings(seq, oldest=1))
        while (phy := port.receive(2.0)) is not None and (mtype(phy) == JOIN_ACCEPT or not _asks(device, phy)):
            pass  # a receipt
        if phy is None:
            continue
        status = cbor.dumps(dict(enumerate((update.IDLE, 0, b"", 0, 0, 0, bytes(8)))))
        port.send(device.live.seal_uplink(FPORT_UPDATE, status))
        return
    raise AssertionError(f"the gateway never asked how the update is: {daemon.events}")


def test_what_a_gateway_does_needs_what_it_is_granted(place: Place, tmp_path: Path, port: Port) -> None:
    device = _planned(place)
    daemon = Daemon(_configured(place, port, tmp_path)).ready()
    try:
        port.join(device)
        _answered(port, device, daemon)

        def noted() -> bool:
            with place.city.registry() as registry, registry.reading() as connection:
                (board,) = rollouts.boards(connection, "spring")
            return board.state == rollout.SENDING and board.gateway != ""

        until(noted, "what became of the board in the register", 60)
        until(lambda: ("SELECT", "papers") in place.used(GATEWAY), "the rules to be asked", 60)
    finally:
        daemon.stop()
    assert not [each for each in daemon.events if "permission denied" in str(each)], daemon.events
    with place.as_gateway() as registry:
        assert registry.commander("room") is None
        outputs = Outputs(registry, city_pack.proposed)
        euis = [EUI.hex(), "70b3d57ed0000002"]
        assert list(outputs.facts(euis)) == euis
        outputs.refusals(Wanted("open", "open", "INT-01", "FLOW"))
    assert granted(documented(), GATEWAY) == place.used(GATEWAY)

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register in SQLite and in PostgreSQL alike: records in and out, searches, the log, papers, retirement."""

import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from provisioning import keys as sealed_keys
from provisioning.errors import (
    DuplicateEntry,
    InvalidIdentity,
    LogBroken,
    PaperError,
    ProvisioningError,
    RefusedByRules,
    RegisterError,
    UnknownDevice,
    WrongStage,
)
from provisioning.model.device import DeviceRecord
from provisioning.model.memory import MemoryStock
from provisioning.model.organisations import Organisation
from provisioning.register import log, moves, papers, records
from provisioning.register.registration import Options, Result, register
from provisioning.register.signing import sign
from provisioning.registry import Registry
from tests import register_rig as rig
from tests.register_rig import Place, record

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture
def registry(database: Place) -> Iterator[Registry]:
    with database.create() as created:
        yield created


def add(registry: Registry, *inputs: DeviceRecord, options: Options | None = None) -> list[Result]:
    with registry.change() as change:
        return register(change, registry.keys(), inputs, options or Options())


def add_one(registry: Registry, given: DeviceRecord, options: Options | None = None) -> DeviceRecord:
    (result,) = add(registry, given, options=options)
    if result.error is not None:
        raise result.error
    assert result.record is not None
    return result.record


def test_a_record_comes_back_with_what_the_register_gives_it(registry: Registry) -> None:
    made = add_one(registry, record(1))
    assert (made.id, made.urn) == ("TRK-0001", "urn:ngsi-ld:Device:TRK-0001")
    assert made.lifecycle.stage == "registered"
    assert made.credentials is not None
    assert made.credentials.store_ref == "register:app_key"
    for what in ("TRK-0001", "trk-0001", "70-b3-d5-7e-d0-00-00-01", "counter 1"):
        with registry.reading() as connection:
            assert records.find(connection, what) == made
    with registry.stock() as stock:
        assert stock.device("TRK-0001") == stock.device_by_eui("70b3d57ed0000001") == made
        assert stock.revision == 2
    assert made.dev_eui is not None
    key = registry.app_key(bytes.fromhex(made.dev_eui))
    assert made.fingerprint == f"hmac:{registry.keys().fingerprint(key).hex()}"
    assert add_one(registry, record(2)).id == "TRK-0002"
    assert add_one(registry, record(3, kind="waste_level")).id == "AVF-0001"


def test_a_device_without_lorawan_needs_no_eui_and_gets_no_key(registry: Registry) -> None:
    made = add_one(registry, record(1, identity={"serial": "A-77"}, credentials={"kind": "x509"}))
    assert (made.dev_eui, made.fingerprint) == (None, None)
    assert registry.devices() == []
    with registry.stock() as stock:
        assert [each.id for each in stock.devices()] == ["TRK-0001"]


@pytest.mark.parametrize(
    "change", [{"identity": {"dev_eui": "70b3d57ed0000001"}}, {"name": "counter 1"}, {"id": "TRK-0001"}]
)
def test_what_is_taken_is_refused_within_a_batch_and_after_it(registry: Registry, change: dict[str, object]) -> None:
    first = record(1, id="TRK-0001")
    results = add(registry, first, record(2, **change), record(3))
    assert [result.error is None for result in results] == [True, False, True]
    assert isinstance(results[1].error, DuplicateEntry)
    with pytest.raises(DuplicateEntry):
        add_one(registry, record(4, **change))
    assert add(registry, first)[0].already
    with registry.stock() as stock:
        assert len(list(stock.devices())) == 2


def test_rules_decide_and_a_refused_record_leaves_nothing(registry: Registry) -> None:
    outcomes = {"counter 1": "ok", "counter 2": "blocked", "counter 3": "needs_approval"}
    judge = lambda batch, stock: [rig.Ruling(outcomes[each.name or ""]) for each in batch]  # type: ignore[arg-type] # noqa: E731
    results = add(registry, record(1), record(2), record(3), options=Options(judge))
    assert isinstance(results[1].error, RefusedByRules)
    assert "OWN-1" in "".join(results[1].error.lines())
    stages = {result.record.name: result.record.lifecycle.stage for result in results if result.record}
    assert stages == {"counter 1": "approved", "counter 3": "needs_approval"}
    states = {device.name: device.state for device in registry.devices()}
    assert states == {"counter 1": "registered", "counter 3": "needs_approval"}
    with pytest.raises(UnknownDevice):
        registry.app_key(bytes.fromhex("70b3d57ed0000002"))
    outcomes["counter 3"] = "ok"
    with registry.change() as change:
        moved, _verdict = moves.move(change, "counter 3", "approved", judge=judge)
    assert (moved.lifecycle.stage, moved.rulepack_version) == ("approved", "test-1")


def test_the_stock_of_the_database_answers_like_the_one_in_memory(registry: Registry, rng: random.Random) -> None:
    rig.fill(registry)
    inputs = [
        record(
            number,
            batch=rng.choice(["A", "B"]),
            asset={"id": f"POLE-{rng.randrange(9)}", "type": "pole"},
            owner={"org_id": rng.choice(["trafiknamnden", "kommunstyrelsen"])},
            location={
                "lat": rng.uniform(59.3, 59.36),
                "lon": rng.uniform(18.0, 18.1),
                "segment_id": f"S-{rng.randrange(5)}",
            },
        )
        for number in range(80)
    ]
    made = [result.record for result in add(registry, *inputs) if result.record]
    memory = MemoryStock(made)
    with registry.stock() as stock:
        for _ in range(20):
            place = (rng.uniform(59.3, 59.36), rng.uniform(18.0, 18.1), rng.uniform(0, 3000))
            assert stock.devices_near(*place) == memory.devices_near(*place)
        assert list(stock.devices()) == list(memory.devices())
        assert list(stock.devices(owner="trafiknamnden", kind="traffic_counter")) == list(
            memory.devices(owner="trafiknamnden")
        )
        assert stock.devices_at("POLE-3") == memory.devices_at("POLE-3")
        assert stock.devices_on("S-3") == memory.devices_on("S-3")
        assert stock.devices_of_batch("A") == memory.devices_of_batch("A")
        assert stock.devices_with(made[5].fingerprint or "") == [made[5]]
        assert [each.id for each in stock.organisations()] == ["kommunstyrelsen", "trafiknamnden"]
        assert stock.platform("INT-01") == stock.platforms()[0]
        assert stock.organisation("nobody") is None


def test_a_life_goes_forward_only_and_ends_with_its_keys(registry: Registry) -> None:
    made = add_one(registry, record(1))
    eui = bytes.fromhex(made.dev_eui or "")
    key = registry.app_key(eui)
    with registry.change() as change:
        for stage in ("approved", "installed", "operational", "suspended", "operational"):
            moves.move(change, "TRK-0001", stage)  # type: ignore[arg-type]
        with pytest.raises(WrongStage, match="cannot become planned"):
            moves.move(change, "TRK-0001", "planned")
        retired = moves.retire(change, "TRK-0001", by="A. Person")
    assert retired.lifecycle.retired is not None
    assert retired.lifecycle.retired.keys_revoked
    found = registry.device(eui)
    assert found is not None
    assert found.state == "retired"
    with pytest.raises(UnknownDevice, match="key"):
        registry.app_key(eui)
    with registry.change() as change:
        with pytest.raises(WrongStage):
            moves.move(change, "TRK-0001", "operational")
        with pytest.raises(WrongStage):
            moves.rotate_key(change, registry.keys(), "TRK-0001")
    with pytest.raises(DuplicateEntry, match="same AppKey"):  # a destroyed key is never used again
        add_one(registry, record(2), Options(app_keys={"70b3d57ed0000002": key}))


def test_a_new_record_keeps_who_it_is(registry: Registry) -> None:
    made = add_one(registry, record(1))
    with registry.change() as change:
        after, _verdict = moves.amend(change, "TRK-0001", record(1, owner={"org_id": "kommunstyrelsen"}, identity=None))
        with pytest.raises(InvalidIdentity):
            moves.amend(change, "TRK-0001", record(2))
    assert (after.id, after.identity, after.credentials) == (made.id, made.identity, made.credentials)
    with registry.stock() as stock:
        assert [each.id for each in stock.devices(owner="kommunstyrelsen")] == ["TRK-0001"]
        assert list(stock.devices(owner="trafiknamnden")) == []


def test_the_log_tells_every_change_and_any_tampering(registry: Registry) -> None:
    rig.fill(registry)
    add_one(registry, record(1))
    with registry.change() as change:
        moves.retire(change, "TRK-0001", by="A. Person")
    with registry.reading() as connection:
        head = log.verify(connection)
        entries = log.entries(connection)
        about = log.entries(connection, subject="TRK-0001")
    actions = [entry.action for entry in entries]
    assert actions == [
        *("register.create", "org.add", "org.add", "platform.add", "role.add", "device.register", "device.retired")
    ]
    assert [entry.body["record"]["lifecycle"]["stage"] for entry in about] == ["registered", "retired"]
    assert head.seq == len(entries)
    with pytest.raises(RegisterError), registry.change() as change:  # the database itself refuses
        change.connection.execute(text("UPDATE log SET actor = 'somebody else' WHERE seq = 2"))
    with pytest.raises(RegisterError), registry.change() as change:
        change.connection.execute(text("DELETE FROM log WHERE seq > 3"))
    _drop_guards(registry)
    with registry.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("UPDATE log SET body = replace(body, 'retired', 'planned') WHERE seq = 7"))
    with registry.reading() as connection, pytest.raises(LogBroken, match="entry 7"):
        log.verify(connection)


def test_a_cut_log_is_told_by_its_head_and_by_what_was_kept_elsewhere(registry: Registry) -> None:
    rig.fill(registry)
    with registry.reading() as connection:
        known = log.head(connection)
        log.verify(connection, known)
    _drop_guards(registry)
    with registry.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("DELETE FROM log WHERE seq >= 4"))
    with registry.reading() as connection, pytest.raises(LogBroken, match="entry 4"):
        log.verify(connection)
    with registry.engine.connect().execution_options(writes=True) as connection, connection.begin():
        last = connection.execute(text("SELECT sha256 FROM log WHERE seq = 3")).scalar_one()
        connection.execute(text("UPDATE log_head SET seq = 3, sha256 = :last"), {"last": last})
    with registry.reading() as connection:
        log.verify(connection)  # whole in itself
        with pytest.raises(LogBroken, match="cut off"):
            log.verify(connection, known)


def _drop_guards(registry: Registry) -> None:
    sqlite = registry.engine.dialect.name == "sqlite"
    with registry.engine.connect().execution_options(writes=True) as connection, connection.begin():
        for name in ("log_no_update", "log_no_delete") if sqlite else ("log_no_change",):
            connection.execute(text(f"DROP TRIGGER {name}" + ("" if sqlite else " ON log")))


def test_papers_count_when_somebody_of_the_register_signed_them(registry: Registry) -> None:
    ciso = rig.fill(registry)
    stranger = rig.person("stranger")
    forged = sign(rig.waiver(2), "ciso-1", stranger.key)
    unknown = sign(rig.waiver(4), "stranger", stranger.key)
    tampered = sign(rig.waiver(3), "ciso-1", ciso.key).replace(b"week 50", b"week 51")
    with registry.change() as change:
        papers.add_paper(change, sign(rig.waiver(1), "ciso-1", ciso.key))
        for envelope in (
            forged,
            tampered,
            unknown,
            b"",
            b"\xd2\x80",
            b"\xd2" * 99,
        ):
            with pytest.raises(PaperError):
                papers.add_paper(change, envelope)
        with pytest.raises(DuplicateEntry):
            papers.add_paper(change, sign(rig.waiver(1), "ciso-1", ciso.key))
        papers.add_paper(change, sign(rig.waiver(5, scope={"batch_id": "BINS"}), "ciso-1", ciso.key))
    with registry.stock() as stock:
        (found,) = stock.waivers(device_id="TRK-0001")
        assert found.paper == rig.waiver(1, issued=found.paper.issued, expires=found.paper.expires)
        assert found.signature.by("ciso")
        assert [each.paper.id for each in stock.waivers(batch_id="BINS")] == ["W-5"]
        assert [each.paper.id for each in stock.waivers()] == ["W-1", "W-5"]
        assert stock.approvals() == stock.dialogues() == []
    with registry.change() as change:
        papers.revoke_holder(change, "ciso-1")
        with pytest.raises(PaperError, match="does not count"):
            papers.add_paper(change, sign(rig.waiver(6), "ciso-1", ciso.key))
        papers.withdraw(change, "W-5", "no longer needed")
    with registry.stock() as stock:
        assert [each.signature.status for each in stock.waivers()] == ["valid"]


def test_a_paper_that_was_changed_in_the_database_loses_its_signature(registry: Registry) -> None:
    ciso = rig.fill(registry)
    with registry.change() as change:
        papers.add_paper(change, sign(rig.waiver(1), "ciso-1", ciso.key))
        mixed = sign(rig.waiver(1, rule_id="SEC-3"), "ciso-1", ciso.key)[:-64] + bytes(64)
        change.connection.execute(text("UPDATE papers SET envelope = :envelope"), {"envelope": mixed})
    with registry.stock() as stock:
        assert [each.signature.status for each in stock.waivers()] == ["invalid"]


def test_objects_are_replaced_only_when_asked_and_need_their_organisation(registry: Registry) -> None:
    ciso = rig.fill(registry)
    board = Organisation(id="trafiknamnden", name="Trafiknämnden", kind="namnd", active=False)
    with registry.change() as change:
        with pytest.raises(DuplicateEntry):
            papers.put(change, board)
        papers.put(change, board, replace=True)
        with pytest.raises(UnknownDevice):
            papers.put(change, rig.person("x", org="nobody").holder)
        same_key = rig.person("y").holder.model_copy(update={"public_key": ciso.holder.public_key})
        with pytest.raises(DuplicateEntry, match="signs with this key"):
            papers.put(change, same_key)
    with registry.stock() as stock:
        assert stock.organisation("trafiknamnden") == board


CLAIM = """
import sys
from pathlib import Path
from provisioning.errors import ProvisioningError
from provisioning.register.registration import Options, register
from provisioning.registry import Registry
from tests.register_rig import record
url, base, who = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
won = 0
with Registry.open(url, (base / "kek").read_bytes(), base=base) as registry:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(20):
        try:
            with registry.change() as change:
                (result,) = register(change, registry.keys(), [record(number, name=f"{who} {number}")], Options())
            won += result.error is None
        except ProvisioningError:
            pass
print(won)
"""


def test_of_two_processes_that_claim_one_eui_exactly_one_wins(registry: Registry, database: Place) -> None:
    (database.base / "kek").write_bytes(database.kek)
    command = [sys.executable, "-c", CLAIM, database.url, str(database.base)]
    root = Path(__file__).parents[1]
    workers = [
        subprocess.Popen([*command, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
        for who in ("a", "b")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    won = [int(worker.communicate("go\n", timeout=90)[0]) for worker in _released(workers)]
    assert sum(won) == 20
    with registry.stock() as stock:
        assert len({each.dev_eui for each in stock.devices()}) == len(list(stock.devices())) == 20
    with registry.reading() as connection:
        assert log.verify(connection).seq == 21


def _released(workers: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return workers


def test_a_failure_in_the_middle_leaves_nothing(registry: Registry) -> None:
    with pytest.raises(ZeroDivisionError), registry.change() as change:
        register(change, registry.keys(), [record(number) for number in range(5)], Options())
        raise ZeroDivisionError
    with registry.stock() as stock:
        assert list(stock.devices()) == []
        assert stock.revision == 1
    assert add_one(registry, record(1)).id == "TRK-0001"


def test_errors_name_no_password(registry: Registry, database: Place) -> None:
    if database.url.startswith("sqlite"):
        return
    password = database.url.split(":")[2].split("@")[0]
    for url in (database.url.rsplit("/", 1)[0] + "/nowhere", database.url.replace("127.0.0.1", "127.0.0.2")):
        with pytest.raises(ProvisioningError) as refused:
            Registry.open(url, database.kek)
        assert password not in "".join(refused.value.lines())
        assert password not in repr(refused.value.__cause__)
    with pytest.raises(ProvisioningError, match="cannot be used"):
        Registry.open(database.url, database.kek, password="wrong")


def test_a_kek_that_is_not_the_first_still_opens(registry: Registry, database: Place) -> None:
    made = add_one(registry, record(1))
    eui = bytes.fromhex(made.dev_eui or "")
    key = registry.app_key(eui)
    both = sealed_keys.new_kek() + database.kek
    with Registry.open(database.url, both, base=database.base) as again:
        assert again.app_key(eui) == key
        assert again.keys().fingerprint(key) == registry.keys().fingerprint(key)


def test_moments_of_the_stock(registry: Registry) -> None:
    with registry.stock() as stock:
        assert datetime.now(UTC) - stock.as_of < timedelta(minutes=5)
        assert stock.gateways() == []

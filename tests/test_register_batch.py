# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Batches: all rows or none, interrupted imports, files that are broken in every way, what goes out comes in again."""

import io
import json
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from provisioning.errors import ConfigError
from provisioning.model.device import DeviceRecord
from provisioning.register import files, log, records
from provisioning.register.batch import import_rows
from provisioning.register.registration import Options
from provisioning.registry import Registry
from tests.register_rig import Place, Ruling, record

pytestmark = pytest.mark.xdist_group("postgres")
PART = 60
ROOT = Path(__file__).parents[1]


@pytest.fixture
def registry(database: Place) -> Iterator[Registry]:
    with database.create() as created:
        yield created


def _lines(*inputs: DeviceRecord) -> str:
    return "".join(json.dumps(records.dump(each)) + "\n" for each in inputs)


def _load(
    registry: Registry, path: Path, *, partial: bool = False, options: Options | None = None
) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    rows = list(files.read(path, files.format_of(path)))
    for report in import_rows(registry, rows, options or Options(), partial=partial):
        found.setdefault(report.status, []).append(report.number)
    return found


def _count(registry: Registry) -> int:
    with registry.stock() as stock:
        return len(list(stock.devices()))


def test_one_bad_row_keeps_all_out_unless_the_good_ones_may_go_in(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    good = [record(number) for number in range(4)]
    path.write_text(_lines(good[0], good[1]) + '{"kind": "toaster"}\n\nnonsense\n' + _lines(good[2], good[2], good[3]))
    assert _load(registry, path) == {"held_back": [1, 2, 6, 8], "refused": [3, 5, 7]}
    assert _count(registry) == 0
    assert _load(registry, path, partial=True) == {"registered": [1, 2, 6, 8], "refused": [3, 5, 7]}
    assert _count(registry) == 4
    assert _load(registry, path, partial=True) == {"already": [1, 2, 6, 7, 8], "refused": [3, 5]}
    path.write_text(_lines(*good, record(9)))  # corrected and run again
    assert _load(registry, path) == {"already": [1, 2, 3, 4], "registered": [5]}
    changed = record(1, owner={"org_id": "kommunstyrelsen"})
    path.write_text(_lines(changed))
    assert _load(registry, path) == {"refused": [1]}  # the same device with another record is no repetition


def test_rules_judge_a_batch_together_and_say_what_became_of_each(registry: Registry, tmp_path: Path) -> None:
    asked: list[int] = []

    def judge(batch: object, _stock: object) -> list[Ruling]:
        assert isinstance(batch, list)
        asked.append(len(batch))
        return [Ruling("blocked" if each.name == "counter 2" else "needs_approval") for each in batch]

    path = tmp_path / "bins.jsonl"
    path.write_text(_lines(*(record(number, batch="BINS") for number in range(1, 4))))
    options = Options(judge)  # type: ignore[arg-type]
    assert _load(registry, path, options=options) == {"held_back": [1, 3], "refused": [2]}
    assert _load(registry, path, options=options, partial=True) == {"needs_approval": [1, 3], "refused": [2]}
    assert asked == [3, 3]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_goes_out_comes_in_again(registry: Registry, tmp_path: Path, form: files.Format) -> None:
    odd = record(
        7,
        name='"quoted", with a comma',
        need={"summary": "line one\nline two; [not json", "ref": "007"},
        sensing_tech=["radar", "photo"],
        streams=[
            {"property": "a", "unit": "{veh}/min", "consumers": [{"org": "park"}, {"org": "road", "purpose": "plan"}]},
            {
                "property": "b",
                "klassa": {"K": 0, "R": 2, "T": 1, "date": "2026-10-02", "by": "x"},
                "fields_allowed": ["n"],
            },
        ],
    )
    for number, each in enumerate([odd, record(8), record(9, location=None)]):
        path = tmp_path / f"in-{number}.jsonl"
        path.write_text(_lines(each))
        assert list(_load(registry, path)) == ["registered"]
    with registry.stock() as stock:
        before = list(stock.devices())
    out = tmp_path / f"out.{form}"
    with out.open("w", encoding="utf-8", newline="") as file:
        assert files.write(before, file, form) == 3
    assert [row.record for row in files.read(out, form)] == before
    with Registry.create("sqlite:///other.db", b"00" * 32, city="Other", base=tmp_path) as other:
        options = Options(keep_stage=True)
        assert list(_load(other, out, options=options)) == ["registered"]
        with other.stock() as stock:
            again = list(stock.devices())
    for one, two in zip(before, again, strict=True):
        assert two.model_copy(update={"credentials": one.credentials}) == one
        assert two.fingerprint != one.fingerprint  # keys stay where they are; the other register made its own


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf", "Co", "Cn", "Zs")), min_size=1
)


@given(st.lists(st.tuples(_TEXT, st.floats(-90, 90)), max_size=5))
def test_any_text_survives_csv(rows: list[tuple[str, float]]) -> None:
    made = [record(number, name=name, location={"lat": lat, "lon": 0.0}) for number, (name, lat) in enumerate(rows)]
    out = io.StringIO(newline="")
    files.write(made, out, "csv")
    read = list(files._read_csv(io.BytesIO(out.getvalue().encode()), "x.csv"))
    assert [row.record for row in read] == made


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"kind,kind\nnoise,noise\n", "twice"),
        ("a.csv", b"kind,name\nnoise\n", "1 cells under 2"),
        ("a.csv", b'kind,name\nnoise,"open\n', "not CSV"),
        ("a.csv", "kind,name\nnoise,Sveavägen\n".encode("latin-1"), "not UTF-8"),
        ("a.csv", "kind,name\nnoise,x\n".encode("utf-16"), "not UTF-8"),
        ("a.csv", b"kind,name\nnoise," + b"x" * 10_000_000 + b"\n", "longer"),
        ("a.csv", b"kind,name\nnoise,a\0b\n", "line"),
        ("a.csv", b"kind,colour\nnoise,red\n", "unknown key"),
        ("a.csv", b"kind,location.lat\nnoise,north\n", "location.lat"),
        ("a.csv", b"kind,sensing_tech\nnoise,[radar\n", "looks like JSON"),
        ("a.csv", b"kind,streams.1.property\nnoise,x\n", "from 0"),
        ("a.csv", b"kind,location,location.lat\nnoise,x,59\n", "given twice"),
        ("a.csv", b"kind,app_key\nnoise,00112233445566778899aabbccddeeff\n", "does not belong"),
        ("a.jsonl", b"[]\n", "should be an object"),
        ("a.jsonl", b'{"kind": "noise", "kind": "air"}\n', "twice"),
        ("a.jsonl", b'{"kind": "noise", "store_forward_h": NaN}\n', "NaN"),
        ("a.jsonl", b'{"kind": "noise", "app_key": "00112233445566778899aabbccddeeff"}\n', "does not belong"),
        ("a.jsonl", '{"kind": "noise", "name": "Sveavägen"}\n'.encode("latin-1"), "not UTF-8"),
        ("a.jsonl", b'{"kind": "noise", "name": "' + b"x" * 10_000_000 + b'"}\n', "longer"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "JSON"),
        ("a.jsonl", b'{"kind": "noise", "id": 7}\n', "id"),
    ],
)
def test_a_broken_file_says_where_and_what(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    try:
        (row,) = files.read(path, files.format_of(path))
    except ConfigError as error:
        lines = error.lines()
    else:
        assert row.record is None
        assert row.error is not None
        lines = row.error.lines()
    assert said in "\n".join(lines)
    assert len("\n".join(lines)) < 3000
    assert "00112233445566778899aabbccddeeff" not in "\n".join(lines)


def test_a_vendors_keys_come_in_by_a_file_of_their_own(registry: Registry, tmp_path: Path) -> None:
    key = "c0ffee00112233445566778899aabb01"
    keys = tmp_path / "keys.csv"
    keys.write_text(f"dev_eui,app_key\n70-B3-D5-7E-D0-00-00-01,{key.upper()}\n")
    path = tmp_path / "batch.jsonl"
    path.write_text(_lines(record(1), record(2)))
    assert _load(registry, path, options=Options(app_keys=files.read_keys(keys))) == {"registered": [1, 2]}
    assert registry.app_key(bytes.fromhex("70b3d57ed0000001")).hex() == key
    assert registry.app_key(bytes.fromhex("70b3d57ed0000002")).hex() != key
    keys.write_text(f"dev_eui,app_key\n70b3d57ed0000003,{key}\n70b3d57ed0000004,{key}\n")
    path.write_text(_lines(record(3), record(4)))
    assert _load(registry, path, options=Options(app_keys=files.read_keys(keys))) == {"refused": [1, 2]}
    for broken in (f"dev_eui,app_key\n70b3d57ed0000003,{key[:-1]}\n", f"app_key\n{key}\n", "dev_eui,app_key\nx,y\n"):
        keys.write_text(broken)
        with pytest.raises(ConfigError) as refused:
            files.read_keys(keys)
        assert key[:-1] not in "".join(refused.value.lines())


IMPORT = """
import sys
from pathlib import Path
from provisioning.errors import ProvisioningError
from provisioning.register import credentials, files
from provisioning.register.batch import import_rows
from provisioning.register.registration import Options
from provisioning.registry import Registry
url, base, path, partial = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4] == "partial"
stop_at, written, store_all = int(sys.argv[5]), [], credentials.store_all


def stop(*arguments):
    # In the middle of a transaction: devices are written, their keys are not.
    written.append(1)
    if len(written) == stop_at:
        print("in the middle", flush=True)
        sys.stdin.readline()
    store_all(*arguments)


credentials.store_all = stop
with Registry.open(url, (base / "kek").read_bytes(), base=base) as registry:
    rows = list(files.read(path, "jsonl"))
    try:
        print(len(import_rows(registry, rows, Options(), partial=partial, part=60)))
    except ProvisioningError as error:
        print(error)
        sys.exit(1)
"""


def _killed_in_the_middle(database: Place, path: Path, mode: str, stop_at: int) -> None:
    """Import until the transaction number *stop_at* is half written, then SIGKILL."""
    (database.base / "kek").write_bytes(database.kek)
    command = [sys.executable, "-c", IMPORT, database.url, str(database.base), str(path), mode, str(stop_at)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "in the middle\n"
        worker.kill()
        assert worker.wait(timeout=30) == -signal.SIGKILL


def _whole(registry: Registry) -> int:
    """Count the devices; each is whole, with a key and an entry in a log without gaps."""
    with registry.reading() as connection:
        log.verify(connection)
    devices = registry.devices()
    for device in [*devices[:3], *devices[-3:]]:
        assert len(registry.app_key(device.dev_eui)) == 16
    with registry.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM credentials")).scalar_one() == len(devices)
    assert len(devices) == _count(registry)
    return len(devices)


def test_an_import_that_is_killed_leaves_nothing_and_is_run_again(registry: Registry, database: Place) -> None:
    path = database.base / "batch.jsonl"
    path.write_text(_lines(*(record(number) for number in range(200))))
    _killed_in_the_middle(database, path, "whole", 1)
    assert _whole(registry) == 0
    assert _load(registry, path) == {"registered": list(range(1, 201))}
    assert _whole(registry) == 200


def test_a_partial_import_that_is_killed_goes_on_where_it_was(registry: Registry, database: Place) -> None:
    path = database.base / "batch.jsonl"
    path.write_text(_lines(*(record(number) for number in range(4 * PART))))
    _killed_in_the_middle(database, path, "partial", 3)
    assert _whole(registry) == 2 * PART
    assert {status: len(rows) for status, rows in _load(registry, path, partial=True).items()} == {
        "already": 2 * PART,
        "registered": 2 * PART,
    }
    assert _whole(registry) == 4 * PART


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    place = Place("sqlite:///register.db", tmp_path, b"00" * 32)
    place.create().close()
    (tmp_path / "kek").write_bytes(place.kek)
    path = tmp_path / "batch.jsonl"
    path.write_text(_lines(*(record(number) for number in range(300))))
    limit = (tmp_path / "register.db").stat().st_size + 100_000
    command = [sys.executable, "-c", IMPORT, place.url, str(tmp_path), str(path), "whole", "0"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
        # No file of this process may grow beyond this: what a full disk is to SQLite.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1, done.stderr
    assert "The register cannot be used" in done.stdout
    with place.open() as registry:
        assert _whole(registry) == 0
        assert _load(registry, path) == {"registered": list(range(1, 301))}
    with sqlite3.connect(tmp_path / "register.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()

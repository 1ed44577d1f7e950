# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The life of a board on the bench: blank, enrolled, reporting to the city, updated, and back from a bad update."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hil_tests.lab import bench as lab_bench
from hil_tests.lab.place import Place
from provisioning.bench import package, update
from provisioning.bench.enrolment import Bench
from provisioning.bench.errors import ProofFailed
from provisioning.bench.package import Purpose, package_for
from provisioning.cli import main
from provisioning.demo.broker import running_broker
from provisioning.demo.street import Street

pytestmark = [pytest.mark.timeout(600), pytest.mark.apart]
HEALTH_S = 60


@pytest.mark.needs("blank")
def test_from_blank_to_the_city_to_an_update_and_back_from_a_bad_one(place: Place, bench: Bench, folder: Path) -> None:
    place.blank()
    done = lab_bench.enrol(place, bench)
    assert place.board is not None
    real = package_for(place.board, Purpose(place.kind, frozenset({"serial"})))
    newer = replace(real, files={**real.files, "firmware/newer.mpy": real.files["firmware/__init__.mpy"]})
    worse = replace(newer, main=b"import nothing_like_this\n")
    assert done.build == real.build
    with running_broker(folder, folder, lambda: False) as (broker, _, _):
        street = Street(bench.city, folder, place.port, broker, print)
        with street.reporting():
            street.wait(lambda: len(street.readings) >= 2, "two readings that are verified")
        assert {reading.dev_eui for reading in street.readings} == {done.device.dev_eui.hex()}
        good = update.update(place.session(), package=newer, health_s=HEALTH_S)
        assert (good.before, good.slot) == (real.build, "b")
        assert good.sent_bytes < 5000, "what was on the board was copied there"
        with pytest.raises(ProofFailed, match="rolled back"):
            update.update(place.session(), package=worse, health_s=HEALTH_S)
        known = len(street.readings)
        with street.reporting():
            street.wait(
                lambda: len(street.readings) >= known + 2 and street.complete,
                "readings of the build that was kept: none is missing, none came twice",
            )
    launcher = place.session().do(lambda at, _repl: at.facts()).launcher
    assert launcher == package.Launcher("a", "b", worse.build)
    if place.lacks("state") is None:
        assert place.state()["misuses"] == 0


@pytest.mark.slow
def test_the_same_is_told_to_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`make demo-bench`, from a flash without a file system on."""
    code = main(["rehearse", "--dir", str(tmp_path / "here")])
    said = capsys.readouterr()
    assert code == 0, said
    for words in (
        "its flash is erased",
        "no node",
        "it joined with its own key",
        "label: LW:D0:",
        "verified: ",
        "it works, and is kept in slot b",
        "the board was rolled back",
        "its last words: ImportError: no module named 'nothing_like_this'",
        "ImportError",
        "again, from slot b",
        "none lost, none twice",
    ):
        assert words in said.out, said
    assert list((tmp_path / "here" / "city" / "bench" / "labels").glob("*.png"))
    assert main(["rehearse", "--dir", str(tmp_path / "here")]) == 1
    assert "choose another --dir" in capsys.readouterr().err

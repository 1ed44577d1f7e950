# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A release to a street of boards, in waves: a good one reaches all, a bad one undoes itself and stops the roll-out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.bench.package import Package, Purpose, package_for
from provisioning.updates import release, rollout
from tests.rollout_rig import Street

pytestmark = [pytest.mark.apart, pytest.mark.timeout(900)]


def node() -> Package:
    return package_for("virtual", Purpose("street_light", frozenset({"serial"})))


def newer() -> Package:
    return replace(node(), files={**node().files, "firmware/newer.mpy": node().files["firmware/__init__.mpy"]})


def test_a_good_release_goes_from_wave_to_wave_and_a_bad_one_stops_itself(tmp_path: Path) -> None:
    street = Street(tmp_path, node())
    good = release.make(newer(), 1, street.key, base=release.Base.of(node()), health_s=300)
    worse = replace(newer(), main=b"import nothing_like_this\n")
    bad = release.make(worse, 2, street.key, base=release.Base.of(newer()), health_s=300)
    first, second = (each.dev_eui.hex() for each in street.boards)
    street.lykta("update", "plan", street.save(good, "good"), first, second, "--waves", "1")
    street.lykta("update", "plan", street.save(bad, "bad"), first, second, "--waves", "1")
    street.lykta("update", "start", "good")
    with street.running():
        street.until("good", lambda boards: boards[0].state != rollout.WAITING, "the first board to be sent it")
        street.kill_gateway()
        assert street.states("good")[1].state == rollout.WAITING
        street.start_gateway()
        ended = street.until("good", lambda boards: all(each.state in rollout.ENDED for each in boards), "the end")
        assert [(each.dev_eui, each.state) for each in ended] == [
            (first, rollout.CONFIRMED),
            (second, rollout.CONFIRMED),
        ], ended
        told = [(each["dev_eui"], each["state"]) for each in street.events("update")]
        assert told.index((first, "confirmed")) < told.index((second, "installing")), "wave after wave"
        street.lykta("update", "start", "bad")
        ended = street.until(
            "bad", lambda boards: boards[0].state in rollout.ENDED, "the end of the first board's trial"
        )
        assert (ended[0].state, ended[0].problem, ended[1].state) == (rollout.FAILED, "unhealthy", rollout.WAITING)
    picture = tmp_path / "bad.svg"
    shown = json.loads(street.lykta("update", "status", "bad", "--json", "--svg", str(picture), code=1))
    assert (shown["state"], shown["wave"], shown["counts"]) == ("stopped", 1, {"failed": 1, "waiting": 1})
    assert "1 failed" in picture.read_text()
    assert "good: done, wave 2 of 2, 2 confirmed" in street.lykta("update", "status")

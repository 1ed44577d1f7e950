# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the tests of a board on its cable are given: the board's place, a city's bench, a board that is enrolled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from hil_tests.lab import bench as lab_bench
from hil_tests.lab.bench import Talk
from hil_tests.lab.place import KIND, Place, tapped
from hil_tests.lab.results import Accuracy
from hil_tests.lab.run import RUN
from provisioning.bench.enrolment import Bench, Enrolled
from provisioning.bench.line import Line
from provisioning.bench.proof import BenchNetwork
from provisioning.city import create_city

Talking = Callable[..., AbstractContextManager[Talk]]
Accurate = Callable[[str, float, float, float], None]
Reads = Callable[..., None]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs on each board of the lab; a board of another kind than it needs says so."""
    if "place" in metafunc.fixturenames:
        needs = [need for mark in metafunc.definition.iter_markers("needs") for need in mark.args]
        kind = next((need.removeprefix(KIND) for need in needs if need.startswith(KIND)), None)
        metafunc.parametrize("place", metafunc.config.stash[RUN].names(kind), indirect=True, scope="session")


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = request.config.stash[RUN].place(request.param, tmp_path_factory.mktemp("place"))
    with tapped([found]):
        yield found
    found.close()


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """What a test needs and the rig lacks is not run, with the reason."""
    if "place" not in request.fixturenames:
        return
    found: Place = request.getfixturevalue("place")
    request.node.user_properties.append(("board", found.name))
    wanted = [need for mark in request.node.iter_markers("needs") for need in mark.args]
    for need in ("serial", "ours", *wanted):
        reason = found.lacks(need)
        if reason is not None:
            pytest.skip(f"not run: {reason}")
    found.capture.begin(request.node.name)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The bench of a city that lasts as long as the tests."""
    city = create_city(tmp_path_factory.mktemp("lab") / "city", "Teststad")
    with city.registry() as registry:
        yield Bench.of(city, registry)


@pytest.fixture(scope="session")
def enrolled(place: Place, bench: Bench, request: pytest.FixtureRequest) -> Enrolled:
    """The board, enrolled as a device of ours that talks over its cable."""
    reason = place.lacks("ours") or place.lacks("blank")
    if reason is not None:
        pytest.skip(f"not run: {reason}")
    done = lab_bench.enrol(place, bench)
    facts = place.session().do(lambda at, repl: _left_running(at.facts(), repl))
    request.config.stash[RUN].results.facts[place.name] = {
        "board": done.board,
        "MicroPython": f"{facts.version_text}, {facts.machine}",
        "build": done.build,
        "self-test": ", ".join(f"{name} {verdict}" for name, verdict in sorted(done.proof.self_test.items())),
    }
    return done


@pytest.fixture(scope="session")
def network(bench: Bench, enrolled: Enrolled) -> BenchNetwork:
    """The network of the board that is enrolled: one, so that its session and its JoinNonce go on."""
    device = enrolled.device
    return BenchNetwork(device.dev_eui, bench.registry.app_key(device.dev_eui), device.kind)


@pytest.fixture
def talking(place: Place, network: BenchNetwork) -> Talking:
    """Be the network of the board that is enrolled, for a block."""

    @contextmanager
    def talk(silent: bool = False) -> Iterator[Talk]:
        with Line(place.port) as line:
            yield Talk(line, network, silent)

    return talk


@pytest.fixture
def accuracy(request: pytest.FixtureRequest, place: Place) -> Accurate:
    """Compare a reading with the truth, and put it into the report."""

    def compare(field: str, truth: float, read: float, within: float) -> None:
        found = Accuracy(place.name, field, truth, read, within)
        request.config.stash[RUN].results.accuracies.append(found)
        assert found.right, f"{field}: read {read:g}, true {truth:g}, allowed ± {within:g}"

    return compare


@pytest.fixture
def reads(place: Place, accuracy: Accurate) -> Reads:
    """Bring a truth about, or measure it, and compare what the board reads when it has settled.

    It may be off by so much at least, and by such a part of the truth where that is more.
    """

    def compare(talk: Talk, field: str, wanted: float, least: float, part: float = 0.0, wait_s: float = 0.0) -> None:
        truth = place.truth(field, wanted)
        within = max(least, part * abs(truth))
        accuracy(field, truth, talk.settled(field, truth, within, wait_s), within)

    return compare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def _left_running(facts: object, repl: object) -> object:
    repl.soft_reset_and_leave()  # type: ignore[attr-defined]
    return facts

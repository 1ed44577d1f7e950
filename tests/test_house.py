# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The house rules that no linter knows: budgets, headers, the vocabulary's other half, pinned requirements, README."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from firmware.wire import kinds
from firmware.wire.kinds import terms

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
SPDX = ("# SPDX-FileCopyrightText: 2026 The Lykta developers", "# SPDX-License-Identifier: Apache-2.0")
PINNED = sorted((ROOT / "requirements").glob("*.txt"))
ELSEWHERE = {"peers", "sensorthings"}
"""What is installed into an environment of its own, and meets nothing of ours."""


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


SOURCES = _tracked("*.py")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="all tests run in one process")
def test_a_modules_tests_run_in_one_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist reads the group off the node id; a version of pytest that hides it makes every fixture anew."""
    assert request.node.nodeid.endswith("@test_house")


def test_there_is_something_to_check() -> None:
    packages = {_name(path).split("/")[0] for path in SOURCES}
    assert packages >= {"boards", "consumer", "firmware", "gateway", "provisioning", "tests"}
    assert {path.stem for path in PINNED} >= {"build", "lint", "run", "stubs-esp32", "stubs-rp2", "stubs-stm32", "test"}


def test_files_and_functions_keep_to_their_budget() -> None:
    over = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) >= MAX_FILE_LINES:
            over.append(f"{_name(path)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length >= MAX_FUNCTION_LINES:
                    over.append(f"{_name(path)}:{node.lineno} {node.name}: {length} lines")
    assert over == []


def test_every_source_names_its_licence() -> None:
    wrong = []
    for path in [*SOURCES, *_tracked("*.sh", "*.toml", "*.in", "Makefile", ".ci/run")]:
        lines = path.read_text(encoding="utf-8").splitlines()
        if lines and lines[0].startswith("#!"):
            lines = lines[1:]
        # An empty file has nothing to license: __init__.py of a folder.
        if lines and tuple(lines[:2]) != SPDX:
            wrong.append(_name(path))
    assert wrong == []


def _host_modules() -> list[str]:
    """Every module a host imports: neither the board's application nor what runs beside it on MicroPython."""
    # Alembic runs env.py itself, with what it needs.
    skipped = (
        "provisioning/register/migrations/env.py",
        "firmware/node/",
        "boards/virtual/hal/",
        "boards/cortexm/",
        "tests/",
        "hil_tests/",
        "benchmarks/",
        "tools/",
    )
    found = [path for path in SOURCES if not _name(path).startswith(skipped) and path.stem != "__main__"]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in found]


def test_every_host_module_can_be_imported_alone_and_without_a_warning() -> None:
    modules = [*_host_modules(), "firmware.node.slots"]
    script = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(len(sys.argv) - 1)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(len(modules))), done.stderr


def test_every_folder_of_modules_is_a_package() -> None:
    """Without its __init__.py the import contracts do not see a folder, and hold nothing of it."""
    scripts = {"boards/virtual/hal", "boards/cortexm", "provisioning/register/migrations"}
    packages = ("boards", "consumer", "firmware", "gateway", "provisioning")
    folders = {path.relative_to(ROOT).parent for path in SOURCES if _name(path).startswith(packages)}
    lacking = {str(each) for each in folders if not (ROOT / each / "__init__.py").exists()}
    assert {each for each in lacking if not each.startswith(tuple(scripts))} == set()


def test_a_consumer_needs_two_packages() -> None:
    allowed = {*sys.stdlib_module_names, "cbor2", "cryptography", "consumer"}
    found = set()
    for path in _tracked("consumer/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add((node.module or "").split(".")[0])
    assert found - allowed == {"psycopg"}  # for a ledger in PostgreSQL alone, imported when one is opened


@pytest.mark.parametrize("kind", terms.names())
def test_a_kind_has_both_halves(kind: str) -> None:
    module = kinds.load(kind)
    fields = [name for name, _key, _scale, _lowest, _highest in kinds.all_fields(module)]
    keys = [key for _name, key, _scale, _lowest, _highest in kinds.all_fields(module)]
    assert kind == module.KIND
    assert len(set(fields)) == len(fields)
    assert len(set(keys)) == len(keys)
    assert min(keys, default=3) >= 3, "keys 0 to 2 are the sequence number, the time and the age"
    assert set(terms.terms(kind)) == set(fields)
    names = [term.senml_name for term in terms.terms(kind).values()]
    assert len(set(names)) == len(names)


def test_terms_without_a_kind_do_not_exist() -> None:
    folder = ROOT / "firmware" / "wire" / "kinds"
    common = {"common"}
    with_terms = {path.stem.removesuffix("_terms") for path in folder.glob("*_terms.py")}
    assert with_terms - common == set(terms.names())


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.stem)
def test_requirements_are_pinned_and_hashed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-", re.sub(r"^\s+--hash=", "", text, flags=re.M), flags=re.M), "no option lines"
    logical = text.replace("\\\n", " ").splitlines()
    requirements = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    assert requirements
    for line in requirements:
        assert re.match(r"^[a-z0-9._-]+==[^ ]+( ; .*)? +--hash=sha256:[0-9a-f]{64}( |$)", line, re.I), line[:80]


def _names(pattern: str, path: Path) -> set[str]:
    return {
        re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(pattern, path.read_text(encoding="utf-8"), re.M)
    }


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.stem)
def test_what_is_asked_for_is_what_is_pinned(path: Path) -> None:
    asked = _names(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", path.with_suffix(".in"))
    assert asked <= _names(r"^([A-Za-z0-9._-]+)==", path), f"{path.name} is older than its .in file: run `make lock`"


def test_two_requirement_files_never_pin_two_versions() -> None:
    versions: dict[str, set[str]] = {}
    for path in (each for each in PINNED if each.stem not in ELSEWHERE):
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(encoding="utf-8"), flags=re.M):
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def _of_this_machine() -> set[str]:
    """What must never be committed: where this checkout and its owner live, and where packages come from here."""
    private = {f"{ROOT}/", f"{Path.home()}/"} - {"//", "/"}
    for name, value in os.environ.items():
        if name.startswith(("PIP_", "UV_")):
            private |= {host for word in value.split() if (host := urlsplit(word).hostname)}
    return private - {"localhost", "127.0.0.1"}


def test_nothing_of_this_machine_is_in_the_repository() -> None:
    private = _of_this_machine()
    found = []
    for path in _tracked():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{_name(path)}: {word}" for word in private if word in text]
    assert found == []


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme
    assert "make test" in readme


@pytest.mark.parametrize("path", _tracked("*.md"), ids=_name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!\w+:)([^)#\s]+)", path.read_text(encoding="utf-8"))
    targets += re.findall(r'(?:src|srcset)="(?!\w+:)([^"]+)"', path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What people are told to type exists: commands with options, make's targets, settings, files, modules, tests."""

import argparse
import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

import gateway.cli
from gateway.config import Config
from provisioning import strict_toml
from provisioning.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()
    if name != "CHANGELOG.md"  # it tells what was
]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_INLINE = re.compile(r"`([^`\n]+)`")
_ASSIGNED = re.compile(r"[A-Z][A-Z_]*=")
_NAME = re.compile(r"[a-z][a-z-]*")
_PROGRAMS = ("lykta", "lykta-gateway", "make")
_FOLDERS = "boards|benchmarks|consumer|firmware|gateway|hil_tests|packaging|provisioning|requirements|tests|tools"
_FILE = re.compile(rf"(?<![\w./-])((?:{_FOLDERS})/[\w./-]*\w\.(?:py|sh|toml|md|json|svg|js|c|yml))\b")
_MODULE = re.compile(rf"python3? -m ((?:{_FOLDERS})[\w.]*)")
_TEST = re.compile(r"\btest_\w+\b")
_INVENTED = {"gateway/platforms/webhook.py", "test_months"}
"""An example of a new file; a field of a record."""
_SAID = re.compile(r"(?<![\w/.@-])(?<!-u )(lykta(?:-gateway)?) (?:-C X )?([a-z][a-z-]*)")


def typed(text: str) -> Iterator[str]:
    """Each line of a console, and each piece of code in the text."""
    for kind, block in _BLOCK.findall(text):
        if kind in ("console", "bash", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith(("$ ", "# ")) or kind != "console":
                    yield line.removeprefix("$ ").removeprefix("# ")
    yield from _INLINE.findall(_BLOCK.sub("", text))


def commands(line: str) -> Iterator[list[str]]:
    """The commands of one of our programs in a line, each as its words; what is set before make stands behind it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return
    while words:
        end = next((at for at, word in enumerate(words) if set(word) <= set("|&;()<>")), len(words))
        one, words = words[:end], words[end + 1 :]
        while one and (one[0] in ("sudo", "time", "exec") or _ASSIGNED.match(one[0])):
            one = [*one[1:], one[0]] if _ASSIGNED.match(one[0]) and "make" in one else one[1:]
        if one and one[0].rpartition("/")[2] in _PROGRAMS:
            yield [one[0].rpartition("/")[2], *one[1:]]


@cache
def lykta() -> Any:
    return typer.main.get_command(app)


def wrong_with_lykta(words: list[str]) -> str:
    """What of a command of lykta does not exist; nothing where all does."""
    command, path = lykta(), "lykta"
    words = list(words)
    while words:
        word = words.pop(0)
        if word.startswith("-") and word != "-":
            name = word.partition("=")[0]
            known = {each: option for option in command.params for each in (*option.opts, *option.secondary_opts)}
            if name != "--help" and name not in known:
                return f"{path} has no option {name}"
            option = known.get(name)
            if option is not None and "=" not in word and not getattr(option, "is_flag", False) and words:
                words.pop(0)
        elif hasattr(command, "commands") and _NAME.fullmatch(word):
            if word not in command.commands:
                return f"{path} has no command {word}"
            command, path = command.commands[word], f"{path} {word}"
    return ""


@cache
def lykta_gateway() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lykta-gateway")
    words = parser.add_subparsers()
    for module in gateway.cli._MODULES:
        import_module(f"gateway.cli.{module}").add(words)
    return parser


def subparsers_of(parser: argparse.ArgumentParser) -> Any:
    return next((each for each in parser._actions if isinstance(each, argparse._SubParsersAction)), None)


def wrong_with_gateway(words: list[str]) -> str:
    """The same of lykta-gateway."""
    parser, path = lykta_gateway(), "lykta-gateway"
    for word in words:
        subparsers = subparsers_of(parser)
        if word.startswith("-"):
            if word.partition("=")[0] not in parser._option_string_actions:
                return f"{path} has no option {word}"
        elif subparsers is not None and _NAME.fullmatch(word):
            if word not in subparsers.choices:
                return f"{path} has no command {word}"
            parser, path = subparsers.choices[word], f"{path} {word}"
    return ""


def wrong_with_make(words: list[str]) -> str:
    """The same of make's targets and variables."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for word in words:
        if _ASSIGNED.match(word):
            name = word.partition("=")[0]
            if f"$({name})" not in makefile and f"export {name}" not in makefile:
                return f"make knows no {name}"
        elif _NAME.fullmatch(word) and not re.search(rf"^{word}:", makefile, re.M):
            return f"make has no target {word}"
    return ""


CHECKS = {"lykta": wrong_with_lykta, "lykta-gateway": wrong_with_gateway, "make": wrong_with_make}


def wrong(text: str) -> list[str]:
    """What a document names that does not exist."""
    found = []
    for line in typed(text):
        for program, *words in commands(line):
            problem = CHECKS[program](words)
            if problem:
                found.append(f"{line}: {problem}")
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_names_commands_that_exist(path: Path) -> None:
    assert wrong(path.read_text("utf-8")) == []


def names_of_tests() -> set[str]:
    """Every test, and every module of tests."""
    found = set()
    for path in [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "hil_tests").rglob("test_*.py")]:
        found |= {path.stem, *re.findall(r"def (test_\w+)", path.read_text("utf-8"))}
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_names_files_modules_and_tests_that_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    lacking = set() if path.name.startswith("adding-") else {each for each in _FILE.findall(text) if not there(each)}
    for name in _MODULE.findall(text):
        module = name.replace(".", "/")
        lacking |= set() if there(f"{module}.py") or there(f"{module}/__main__.py") else {name}
    lacking |= set(_TEST.findall(text)) - names_of_tests()
    assert lacking - _INVENTED == set()


def there(path: str) -> bool:
    return (ROOT / path).exists()


def said() -> Iterator[tuple[str, str]]:
    """Each text of the programs that a person may read, with where it stands; what changes in it is an X."""
    for path in sorted(each for name in ("provisioning", "gateway") for each in (ROOT / name).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                yield where, "".join(str(p.value) if isinstance(p, ast.Constant) else " X" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                yield where, node.value


def test_every_command_that_the_programs_name_exists() -> None:
    known = {"lykta": set(lykta().commands), "lykta-gateway": set(subparsers_of(lykta_gateway()).choices)}
    found = [(where, *each) for where, text in said() for each in _SAID.findall(text)]
    assert len(found) > 100
    assert [each for each in found if each[2] not in known[each[1]]] == []


@pytest.mark.parametrize(
    "text",
    [
        "`lykta labels X`",
        "`lykta label X --picture Y`",
        "`lykta -C city gateway enrol gw-1`",
        "`lykta keys turn`",
        "`make tests`",
        "`make demo BOARDS=3`",
        "`lykta-gateway events`",
        "```console\n$ sudo lykta-gateway status --jsn | less\n```\n",
        "```console\n$ make deb && lykta verif\n```\n",
    ],
)
def test_what_does_not_exist_is_found(text: str) -> None:
    assert len(wrong(text)) == 1


GATEWAY_BLOCKS = [
    pytest.param(block, id=f"{path.stem}-{block.split()[0]}")
    for path in DOCUMENTS
    if path.stem in ("bluetooth", "mqtt", "network-server", "operating", "platforms")
    for kind, block in _BLOCK.findall(path.read_text("utf-8"))
    if kind == "toml"
]
_BASE = """
[gateway]
eui = "0200000000000a01"
key = "file:key"
certificate = "gw.pem"
[register]
url = "sqlite:register.db"
kek = "file:kek"
[[links]]
type = "lora"
name = "air"
bind = "127.0.0.1:1700"
gateways = [{ eui = "0200000000000a02" }]
"""
_MORE_OF_A_PLATFORM = '[[platforms]]\ntype = "sensorthings"\nname = "office"\nurl = "https://sta.example.org/v1.1"\n'


@pytest.mark.parametrize("block", GATEWAY_BLOCKS)
def test_an_example_of_the_gateways_file_is_taken(block: str) -> None:
    """With what stands in it as a comment, too."""
    whole = re.sub(r"(?m)^# (\w+ = )", r"\1", block)
    more = _MORE_OF_A_PLATFORM if whole.startswith("[platforms.") else ""
    found = strict_toml.loads(_BASE + more + whole, Config, "the example")
    assert found.gateway.eui == "0200000000000a01"


def test_there_are_examples_of_the_gateways_file() -> None:
    assert len(GATEWAY_BLOCKS) >= 8

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which module each command is in, as `module:name`. It is loaded when the command is called, or its help listed."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any, Final

import typer

COMMANDS: Final = {
    "init": "init:init",
    "register": "devices:register",
    "devices": "devices:list_devices",
    "show": "devices:show",
    "list": "devices:list_records",
    "stage": "devices:stage",
    "amend": "devices:amend",
    "retire": "devices:retire",
    "dispose": "devices:dispose",
    "import": "batches:import_",
    "export": "batches:export",
    "upgrade": "upkeep:upgrade",
    "public": "reports:public",
    "verify": "verify:verify",
    "receive": "receive:receive",
    "prove": "receive:prove",
    "command": "command:command",
    "ports": "bench:list_ports",
    "install": "bench:install",
    "doctor": "doctor:doctor",
    "enroll": "enroll:enroll",
    "flash": "flash:flash_board",
    "console": "console:console",
    "monitor": "monitor:monitor",
    "enrolled": "enroll:enrolled",
    "label": "enroll:labels",
    "demo": "demo:demo",
    "rehearse": "rehearse:rehearse",
    "battery": "battery:battery",
    "check": "check:check",
    "audit": "audit:audit",
    "snapshot": "audit:snapshot",
    "search": "search:search",
    "org": "people:org",
    "role": "people:role",
    "platform": "platforms:platform",
    "dataset": "people:dataset",
    "waiver": "papers:waiver",
    "approval": "papers:approval",
    "dialogue": "papers:dialogue",
    "log": "upkeep:log_app",
    "keys": "upkeep:keys_app",
    "report": "reports:report_app",
    "catalogue": "reports:catalogue_app",
    "gateway": "gateway:app",
    "commander": "commander:app",
    "settings": "command:settings",
    "board": "board:app",
    "boards": "boards:app",
    "update": "updates:app",
    "ble": "ble:app",
    "rules": "rules:app",
}

SECTIONS: Final = {
    "Without hardware": ("demo", "rehearse", "battery"),
    "A city and its devices": (
        "init", "register", "devices", "show", "list", "stage", "amend", "retire", "dispose", "import", "export",
        "log", "keys", "public", "upgrade",
    ),
    "Boards": (
        "ports", "flash", "install", "enroll", "enrolled", "label", "update", "doctor", "console", "ble", "board",
        "boards",
    ),
    "Gateways, and what they send": (
        "gateway", "monitor", "verify", "receive", "prove", "command", "commander", "settings",
    ),
    "The city's guidelines": (
        "check", "audit", "snapshot", "search", "rules", "org", "role", "platform", "dataset", "waiver", "approval",
        "dialogue", "report", "catalogue",
    ),
}  # fmt: skip
"""How the help lists them: each command once."""


class Commands(MutableMapping[str, Any]):
    """As Click keeps a group's commands; each is made when somebody asks for it."""

    def __getitem__(self, name: str) -> Any:
        return _made(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __setitem__(self, name: str, command: Any) -> None:
        raise TypeError(f"{name}: commands stand in COMMANDS")

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name}: commands stand in COMMANDS")


@cache
def _made(name: str) -> Any:
    module, _, what = COMMANDS[name].partition(":")
    found = getattr(import_module(f"provisioning.cli.{module}"), what)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.callback()(lambda: None)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    group: Any = typer.main.get_command(alone)
    return group.commands[name]

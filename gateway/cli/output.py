# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How every command speaks, and the options that most of them share."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

EXIT_FAILED = 1
EXIT_CONFIG = 2
CONFIG_VARIABLE = "LYKTA_GATEWAY_CONFIG"
WORKER_VARIABLE = "LYKTA_WORKER"
INSTALLED_CONFIG = Path("/etc/lykta/gateway.toml")


def say(text: str) -> None:
    """Print a line, or lines."""
    sys.stdout.write(text + "\n")


def say_error(text: str) -> None:
    """Print what went wrong."""
    sys.stderr.write(f"lykta-gateway: {text}\n")


def with_config() -> argparse.ArgumentParser:
    """Return the option --config: needed where neither the environment nor an installation says where the file is."""
    parser = argparse.ArgumentParser(add_help=False)
    told = os.environ.get(CONFIG_VARIABLE)
    default = Path(told) if told else INSTALLED_CONFIG if INSTALLED_CONFIG.is_file() else None
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=default,
        required=default is None,
        help=f"gateway.toml; default: ${CONFIG_VARIABLE}, or {INSTALLED_CONFIG} where it is",
    )
    parser.add_argument(
        "--worker",
        type=int,
        metavar="N",
        default=int(os.environ.get(WORKER_VARIABLE) or 0),
        help=f"which one, from 1, where [workers] says that there are several; default: ${WORKER_VARIABLE}",
    )
    return parser


def with_json() -> argparse.ArgumentParser:
    """Return the option --json."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


def with_logs() -> argparse.ArgumentParser:
    """Return the options of every command that runs on."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--log-format",
        choices=["auto", "journal", "json", "text"],
        default="auto",
        help="auto: the journal under systemd, text on a terminal, else one JSON object a line on stderr",
    )
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    return parser

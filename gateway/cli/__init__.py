# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""``lykta-gateway``: run the daemon, check its configuration, ask it how it is. Parse, call, print, exit code."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from gateway.cli.output import EXIT_CONFIG, EXIT_FAILED, say_error
from gateway.errors import GatewayError, IdentityError
from provisioning.errors import ConfigError, ProvisioningError, SecretError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODULES: Final = ("run", "front", "divide", "ask", "inspect", "commands", "install")
_ALONE: Final = {"run": "run", "front": "front"}
"""What runs for ever loads its own module only: a front needs nothing of a worker."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 1 when it failed, 2 when the configuration is wrong."""
    parser = argparse.ArgumentParser(prog="lykta-gateway", description="Lykta's gateway daemon.")
    words = parser.add_subparsers(required=True, metavar="COMMAND")
    given = sys.argv[1:] if arguments is None else arguments
    alone = _ALONE.get(given[0]) if given else None
    for module in _MODULES if alone is None else (alone,):
        import_module(f"gateway.cli.{module}").add(words)
    options = parser.parse_args(arguments)
    try:
        code: int = options.command(options)
    except ProvisioningError as error:
        say_error("\n".join(error.lines()))
        return EXIT_CONFIG if isinstance(error, ConfigError | SecretError) else EXIT_FAILED
    except (GatewayError, OSError) as error:
        say_error(str(error))
        if isinstance(error, PermissionError) and error.filename is not None and os.geteuid():
            say_error("What the service keeps is for it and for root; next: the same command with sudo")
        return EXIT_CONFIG if isinstance(error, IdentityError) else EXIT_FAILED
    return code

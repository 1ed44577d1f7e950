# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta init`: make a new city."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning.city import create_city
from provisioning.cli.output import note, of, say


def init(
    ctx: typer.Context,
    city: Annotated[str, typer.Option("--city", metavar="NAME", help="The city's name, as certificates show it.")],
    register: Annotated[
        str | None,
        typer.Option("--register", metavar="URL", help="An empty database of a PostgreSQL server; default: a file."),
    ] = None,
    password: Annotated[
        str | None, typer.Option("--password-ref", metavar="REF", help="Its user's password: file:PATH, env:NAME …")
    ] = None,
    directory: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Default: the directory of -C.")] = None,
) -> None:
    """Make a city: register, key-encryption key, certificate authority. An existing city is never touched."""
    home = directory if directory is not None else of(ctx).home
    made = create_city(home, city, url=register, password=password)
    say(str(made.home))
    note(f"{city} is ready. Keep a copy of {made.home / 'kek'} and {made.home / 'ca'} in a safe place:")
    note("without them no device key can be opened and no gateway enrolled.")
    note(f"next: lykta -C {made.home} register --kind street_light")

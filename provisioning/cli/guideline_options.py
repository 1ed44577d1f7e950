# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the commands of the guidelines share: which register, which rules, how it is printed, which exit code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provisioning.cli.output import fitted, of, terminal_width
from provisioning.errors import ConfigError
from provisioning.guidelines import city_pack, signed_pack, snapshot
from provisioning.guidelines.findings import EXIT_USAGE, Evaluation, Worst
from provisioning.guidelines.render_data import RENDERERS
from provisioning.guidelines.render_text import Frame
from provisioning.guidelines.texts import LANGUAGES, Language, language_of_locale

if TYPE_CHECKING:
    from provisioning.guidelines.signed_pack import LoadedPack
    from provisioning.model.stock import Stock

_INDENT = 10
"""Where the text of a finding begins."""
Output = Annotated[str, typer.Option("--output", "-o", metavar="FORM", help=f"One of: {', '.join(RENDERERS)}.")]
Lang = Annotated[str | None, typer.Option("--lang", help="sv or en; default: that of the locale.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 3 where there are warnings and nothing worse.")]
Everything = Annotated[bool, typer.Option("--all", help="Show also what passed and what does not apply.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="DATE", help="As if it were this day (2026-11-22); default: now.")
]
FromSnapshot = Annotated[
    Path | None,
    typer.Option("--snapshot", metavar="FILE", help="The register as lykta snapshot wrote it; default: the city's."),
]


@dataclass(frozen=True)
class Source:
    """A register and the rules over it."""

    stock: Stock
    loaded: LoadedPack

    def frame(self, now: datetime) -> Frame:
        """What an evaluation is made with."""
        trust = signed_pack.trust(self.loaded, self.stock)
        return Frame(self.loaded.pack, trust, self.stock.revision, self.stock.as_of, now)


@contextmanager
def source(ctx: typer.Context, file: Path | None) -> Iterator[Source]:
    """The register of a snapshot file, or the city's own."""
    if file is not None:
        found = snapshot.load(file)
        yield Source(found.stock(), found.pack())
        return
    city = of(ctx).city()
    loaded = city_pack.load(city.home)
    with city.registry() as registry, registry.stock() as stock:
        yield Source(stock, loaded)


def usage(message: str) -> SystemExit:
    """The end of a command that was called wrongly."""
    typer.echo(f"lykta: {message}", err=True)
    return SystemExit(EXIT_USAGE)


def language_of(text: str | None) -> Language:
    """The language asked for, or that of the locale."""
    if text is None:
        return language_of_locale()
    for each in LANGUAGES:
        if each == text:
            return each
    raise usage(f"--lang is one of {', '.join(LANGUAGES)}, not {text!r}")


def moment_of(text: str | None) -> datetime:
    """The moment asked for; a day is its noon in UTC."""
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise usage(f"--at is a date such as 2026-11-22, not {text!r}") from error
    if len(text) == len("2026-11-22"):
        found = found.replace(hour=12)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def renderer_of(output: str) -> Any:
    """The function that prints in this form."""
    if output not in RENDERERS:
        raise usage(f"--output is one of {', '.join(RENDERERS)}, not {output!r}")
    return RENDERERS[output]


def finish(
    evaluations: Iterable[Evaluation],
    frame: Frame,
    *,
    output: str,
    language: Language,
    strict: bool,
    everything: bool,
) -> None:
    """Print the evaluations as they come and exit with their code."""
    worst = Worst()
    width = terminal_width() if output == "text" else None
    for piece in renderer_of(output)(worst.watch(evaluations), frame, language, everything=everything):
        typer.echo(piece if width is None else f"{fitted(piece.rstrip(), width, _INDENT)}\n", nl=False)
    code = worst.exit_code(strict=strict)
    if code:
        raise typer.Exit(code)


def some(records: Sequence[object]) -> None:
    """Refuse to say that nothing is wrong with nothing."""
    if not records:
        raise ConfigError("There is nothing to judge.", next_step="lykta check RECORD.toml")

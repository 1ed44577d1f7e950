# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta waiver`, `lykta approval`, `lykta dialogue`: what people decide and sign. The three work alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli.output import note, of, say, say_json, say_table
from provisioning.private_files import PUBLIC_MODE, write_new
from provisioning.register import desk, papers
from provisioning.register.desk import PaperType

File = Annotated[Path, typer.Argument(metavar="FILE", help="The paper as TOML, or signed (.cose).")]
Signer = Annotated[str | None, typer.Option("--as", metavar="ID", help="Who signs, as lykta role list shows it.")]
Key = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Her private key.")]

_HELP = {
    "waiver": "One rule set aside for named devices, for a time.",
    "approval": "Permissions that rules ask for.",
    "dialogue": "Evidence that using an existing device was considered first.",
}


def paper_app(kind: PaperType) -> typer.Typer:
    """The commands for papers of this type."""
    app = typer.Typer(no_args_is_help=True, help=_HELP[kind], rich_markup_mode=None)

    @app.command("sign", help=f"Sign the {kind} of a TOML file; hand the result to whoever keeps the register.")
    def sign(
        file: File,
        signer: Annotated[str, typer.Option("--as", metavar="ID", help="Who signs.")],
        key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Her private key.")],
        out: Annotated[Path, typer.Option("--out", metavar="FILE.cose", help="A new file.")],
    ) -> None:
        write_new(out, desk.envelope_of(file, kind, signer, key), PUBLIC_MODE)
        note(f"next: lykta {kind} add {out}")

    @app.command("add", help=f"Add a signed {kind} to the register, or sign and add one.")
    def add(ctx: typer.Context, file: File, signer: Signer = None, key: Key = None) -> None:
        envelope = desk.envelope_of(file, kind, signer, key)
        with of(ctx).city().registry() as registry:
            paper, signature = desk.hand_in(registry, envelope, kind)
        say(paper.id)
        note(f"signed by {signature.name} ({signature.role})")

    @app.command("withdraw", help=f"Take a {kind} back before its time. The log keeps it.")
    def withdraw(
        ctx: typer.Context,
        paper_id: Annotated[str, typer.Argument(metavar="ID")],
        reason: Annotated[str, typer.Option("--reason", help="Why.")],
    ) -> None:
        with of(ctx).city().registry() as registry, registry.change() as change:
            papers.withdraw(change, paper_id, reason)
        say(paper_id)

    _add_list(app, kind)
    return app


def _add_list(app: typer.Typer, kind: PaperType) -> None:
    @app.command("list", help=f"List each {kind}; what is stale, and why, stands at the end of its line.")
    def show_all(
        ctx: typer.Context,
        stale: Annotated[
            bool, typer.Option("--stale", help="Only what is expired, soon ends, or fits nothing.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        with of(ctx).city().registry() as registry, registry.stock() as stock:
            lines = [line for line in desk.paper_lines(stock, kind) if line.notes or not stale]
        if as_json:
            say_json([{**vars(line), "expires": line.expires.isoformat()} for line in lines])
        elif lines:
            rows = [
                [line.id, line.about, line.signer, line.expires.strftime("%Y-%m-%d"), "; ".join(line.notes)]
                for line in lines
            ]
            say_table(["id", "about", "signed by", "until", "notes"], rows)
        else:
            note("nothing is stale" if stale else f"none yet; next: lykta {kind} add --help")


waiver = paper_app("waiver")
approval = paper_app("approval")
dialogue = paper_app("dialogue")

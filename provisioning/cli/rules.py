# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta rules`: what the rules are, what changes with a new pack, and how a pack becomes the city's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from provisioning import pki
from provisioning.cli import guideline_options as options
from provisioning.cli.output import note, of, say, say_json, say_table
from provisioning.errors import NotACity
from provisioning.guidelines import city_pack, describe, signed_pack
from provisioning.guidelines.engine import rules_in_force
from provisioning.guidelines.signed_pack import LoadedPack
from provisioning.private_files import PUBLIC_MODE, write_new
from provisioning.secret_refs import load_secret

app = typer.Typer(no_args_is_help=True, help="The city's guidelines as rules.", rich_markup_mode=None)
PackFile = Annotated[
    Path | None, typer.Option("--pack", metavar="FILE", help="A pack (.toml, or signed); default: the city's.")
]


def _pack(ctx: typer.Context, file: Path | None) -> LoadedPack:
    if file is not None:
        return city_pack.read(file)
    try:
        return city_pack.load(of(ctx).city().home)
    except NotACity:  # the rules can be read without a city
        return city_pack.proposed()


@app.command("list")
def list_rules(
    ctx: typer.Context,
    pack: PackFile = None,
    lang: options.Lang = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the rules in force."""
    language, found = options.language_of(lang), _pack(ctx, pack).pack
    rules_in_force(found)
    if as_json:
        say_json(describe.as_list(found, language))
    else:
        columns = ["rule", "severity", "waiver", "who decides", "what"]
        say_table(columns, describe.rows(found, language))
        note(describe.heading(found, language))


@app.command("explain")
def explain(
    ctx: typer.Context,
    rule: Annotated[str, typer.Argument(metavar="RULE", help="For example SHARE-1.")],
    pack: PackFile = None,
    lang: options.Lang = None,
) -> None:
    """Explain a rule: why it is there, what it says, its numbers, who may decide, what to do."""
    language, found = options.language_of(lang), _pack(ctx, pack).pack
    for line in describe.explain(rule, found, language):
        say(line)


@app.command("diff")
def diff(
    ctx: typer.Context,
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A pack (.toml, or signed).")],
    old: Annotated[Path | None, typer.Argument(metavar="[OLD]", help="Default: the city's.")] = None,
) -> None:
    """Show what a new pack changes: rules, severities, numbers, lists. Exits 1 where it changes anything."""
    changes = describe.diff(_pack(ctx, old).pack, city_pack.read(new).pack)
    for line in changes:
        say(line)
    if changes:
        raise typer.Exit(1)
    note("the two packs say the same")


@app.command("export")
def export(
    ctx: typer.Context,
    pack: PackFile = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A new file; default: the screen.")] = None,
) -> None:
    """Print the pack in force as TOML, to be changed and signed."""
    text = city_pack.text_of(_pack(ctx, pack))
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_new(out, text.encode(), PUBLIC_MODE)
        note(f"next: change {out}, then lykta rules sign {out} --as ID --key FILE --out pack.cose")


@app.command("sign")
def sign(
    file: Annotated[Path, typer.Argument(metavar="PACK", help="A pack as TOML.")],
    signer: Annotated[str, typer.Option("--as", metavar="ID", help="Id of the role holder who signs: slk or ks.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Her private key, as lykta role key made it.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A new file.")],
) -> None:
    """Sign a pack: it then says who stands for it."""
    found = city_pack.read(file)
    rules_in_force(found.pack)
    private = pki.load_private_key(load_secret(f"file:{key.absolute()}", Path()), "signing key")
    write_new(out, signed_pack.sign(city_pack.text_of(found), private, signer, datetime.now(UTC)), PUBLIC_MODE)
    say(str(out))
    note(f"rule pack {found.pack.version}, signed by {signer}; next: lykta rules install {out}")


@app.command("install")
def install(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="PACK", help="A signed pack.")],
) -> None:
    """Make a signed pack the city's. One whose signature does not count is refused."""
    home = of(ctx).city().home
    with options.source(ctx, None) as found:
        pack = city_pack.install(home, file, found.stock)
    say(pack.version)
    note(f"rule pack {pack.version} is in force from {pack.pack.valid_from} to {pack.pack.valid_to}")
    note("next: lykta audit shows what it means for what stands")


@app.command("page")
def page(ctx: typer.Context, pack: PackFile = None) -> None:
    """Print all rules as a page of Markdown."""
    typer.echo(describe.page(_pack(ctx, pack).pack), nl=False)

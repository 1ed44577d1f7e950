# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta platform test`: whether a platform speaks what its published interface says."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from provisioning import conformance
from provisioning.broker_access import AccessOptions
from provisioning.cli.output import note, of, say, say_json
from provisioning.cli.people import platform
from provisioning.errors import ConfigError
from provisioning.model.platforms import InterfaceTest, Platform
from provisioning.register import papers
from provisioning.secret_refs import load_secret

_ENCRYPTED = ("https", "mqtts")


@platform.command("test")
def test_platform(
    ctx: typer.Context,
    platform_id: Annotated[str, typer.Argument(metavar="ID")],
    write: Annotated[bool, typer.Option("--write", help="Also create, read and delete one entity (NGSI-LD).")] = False,
    topic: Annotated[str | None, typer.Option("--topic", help="Of the test message over MQTT.")] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1, max=300, metavar="SECONDS", help="For each request or answer.")
    ] = 10.0,
    ca: Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="Authority of the platform (PEM).")] = None,
    cert: Annotated[Path | None, typer.Option("--cert", metavar="FILE", help="Client certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Its private key (PEM).")] = None,
    username: Annotated[str | None, typer.Option("--username", help="Name at the platform.")] = None,
    password_ref: Annotated[
        str | None,
        typer.Option("--password-ref", metavar="REF", help="Its password: file:PATH, env:NAME or credential:NAME."),
    ] = None,
    token_ref: Annotated[
        str | None, typer.Option("--token-ref", metavar="REF", help="Bearer token over HTTP, in the same way.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Test a platform's published interface, and keep the outcome in the register. Exit code 1: it failed."""
    city = of(ctx).city()
    with city.registry() as registry:
        with registry.reading() as connection:
            platform = papers.platform_of(connection, platform_id)
        kind, url = platform.api_kind, platform.api_url
        if kind is None or url is None:
            raise _nothing_to_test(platform)
        _check_safe(url, cert, key, secret=password_ref or token_ref)
        tls = urlsplit(url).scheme in _ENCRYPTED
        access = AccessOptions(tls, ca, cert, key, username, password_ref).load()
        token = None if token_ref is None else load_secret(token_ref, Path.cwd()).decode(errors="replace").strip()
        target = conformance.Target(platform_id, url, access, token, timeout_s, write, topic)
        steps = conformance.run(kind, target)
        test = conformance.summary(kind, url, steps, datetime.now(UTC))
        with registry.change() as change:
            papers.keep_test(change, platform_id, test)
    if as_json:
        say_json({"platform": platform_id, **test.model_dump(mode="json"), "steps": [asdict(each) for each in steps]})
    else:
        _tell(platform_id, test, steps)
    if not test.passed:
        raise typer.Exit(1)


def _tell(platform_id: str, test: InterfaceTest, steps: list[conformance.Step]) -> None:
    for step in steps:
        say(f"{step.outcome:<7} {step.name}{f' ({step.found})' if step.found and step.outcome != 'failed' else ''}")
        if step.outcome == "failed":
            for label, text in (
                ("", step.state), ("found: ", step.found), ("why:   ", step.reason), ("next:  ", step.next_step)
            ):  # fmt: skip
                if text:
                    say(f"          {label}{text}")
    say(f"{platform_id}: {test.kind} {'passed' if test.passed else 'FAILED'}")
    note(f"kept in the register; lykta log show {platform_id}")


def _nothing_to_test(platform: Platform) -> ConfigError:
    return ConfigError(
        "The register does not say what interface this platform publishes.",
        value=f"{platform.id}: api_kind {platform.api_kind or '–'}, api_url {platform.api_url or '–'}",
        reason="Integration platforms let devices and systems talk; what is not published cannot be tested.",
        next_step=f"lykta platform add {platform.id} --replace --api-kind mqtt|sensorthings|ngsi-ld|openapi "
        "--api-url URL … (with its other options)",
    )


def _check_safe(url: str, cert: Path | None, key: Path | None, *, secret: str | None) -> None:
    if (cert is None) != (key is None):
        raise ConfigError("A client certificate and its key belong together.", next_step="give both --cert and --key")
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or port == 0:
        raise ConfigError("The registered address of the interface names no host and port.", value=url)
    if secret is None or parts.scheme in _ENCRYPTED or _is_this_machine(host):
        return
    raise ConfigError(
        "The secret would travel in the clear.",
        value=url,
        reason="Whoever listens could use it afterwards.",
        next_step="register the platform's address with https or mqtts",
    )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a report command does in one call: open the register, compute, write down."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from provisioning import strict_toml
from provisioning.errors import AlreadyExists, ConfigError
from provisioning.guidelines import city_pack
from provisioning.model.datasets import Dataset
from provisioning.private_files import PUBLIC_MODE, write_new
from provisioning.register import tables
from provisioning.register.stock import objects
from provisioning.reports import catalogue, duplicates, expiring, kpi, pictures, public, reach, released, render, scope

if TYPE_CHECKING:
    from provisioning.city import City

KpiForm = Literal["md", "csv", "json", "xlsx"]


def clusters(city: City) -> list[duplicates.Cluster]:
    """Possible duplicates of the whole city."""
    pack = city_pack.load(city.home).pack
    with city.registry() as registry, registry.stock() as stock:
        return duplicates.clusters(stock, reach.of_pack(pack))


def yearly(
    city: City, year: int, *, by_owner: bool, facts: Path | None = None, delivery: Path | None = None
) -> kpi.Report:
    """The report of a year."""
    known = {} if facts is None else scope.read_facts(facts)
    heard = None if delivery is None else scope.read_delivery(delivery)
    found = [[device.id or "" for device in cluster.devices] for cluster in clusters(city)]
    with city.registry() as registry, registry.stock() as stock:
        return kpi.make(
            stock,
            city=city.config.city.name,
            year=year,
            by_owner=by_owner,
            facts=known,
            delivery=heard,
            clusters=found,
            to_service=kpi.days_to_service(stock),
        )


def write_yearly(report: kpi.Report, form: KpiForm, out: Path | None) -> str | None:
    """Write a report into a new file; return it as text where there is no file."""
    if form == "xlsx":
        if out is None:
            raise ConfigError("A workbook is written into a file.", next_step="add --out kpi.xlsx")
        if out.exists():
            raise AlreadyExists("This file exists already and is never overwritten.", value=out)
        render.write_workbook(report, out)
        return None
    text = {"md": render.as_markdown, "csv": render.as_csv, "json": render.as_json}[form](report)
    if out is None:
        return text
    write_new(out, text.encode(), PUBLIC_MODE)
    return None


def draw(report: kpi.Report, folder: Path, form: Literal["svg", "png"]) -> list[Path]:
    """Draw the city's figures."""
    return pictures.draw(report, folder, form)


def endings(city: City, days: int) -> list[expiring.Ending]:
    """What ends within so many days."""
    with city.registry() as registry, registry.stock() as stock:
        found = expiring.expiring(stock, days)
    ca_end: date = city.ca_certificate().not_valid_after_utc.date()
    ca = expiring.Ending(ca_end, "CA certificate", city.config.city.name, "")
    return sorted([*found, ca]) if (ca_end - date.today()).days <= days else found


def open_catalogue(city: City, about: Path, form: catalogue.Form) -> tuple[str, list[released.HeldBack]]:
    """The catalogue of open data as text, and the datasets that may not be in it."""
    head = strict_toml.load(about, catalogue.Catalogue)
    with city.registry() as registry, registry.stock() as stock:
        datasets = objects(stock.connection, tables.datasets, Dataset)
        found, held_back = released.gate(stock, datasets)
        organisations = {each.id: each for each in stock.organisations()}
    return catalogue.write(head, found, organisations, form), held_back


def public_pages(city: City, folder: Path, feedback: str) -> int:
    """Write the public pages; return for how many devices."""
    with city.registry() as registry, registry.stock() as stock:
        return public.write(stock, folder, city=city.config.city.name, feedback=feedback)

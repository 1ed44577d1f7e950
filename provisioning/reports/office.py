# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a report command does in one call: open the register, compute, write down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from provisioning import strict_toml
from provisioning.errors import AlreadyExists, ConfigError, ReceiverError
from provisioning.guidelines import city_pack
from provisioning.guidelines.engine import guidelines
from provisioning.guidelines.findings import Mode
from provisioning.guidelines.texts import Language
from provisioning.model.datasets import Dataset
from provisioning.private_files import PUBLIC_MODE, make_directory, write_new
from provisioning.receiving import open_store
from provisioning.register.stock import DatabaseStock, objects
from provisioning.reports import (
    catalogue,
    coverage,
    coverage_map,
    duplicates,
    expiring,
    heard,
    kpi,
    pictures,
    public,
    released,
    render,
    scope,
    service,
)

if TYPE_CHECKING:
    from consumer.ledger import Ledger
    from provisioning.city import City
    from provisioning.guidelines.engine import Guidelines
    from provisioning.reports.radio_range import Budget

KpiForm = Literal["md", "csv", "json", "xlsx"]


@contextmanager
def _audit(city: City) -> Iterator[Guidelines]:
    """The one evaluation over the city's register, as lykta audit has it."""
    with city.registry() as registry, registry.stock() as stock:
        yield guidelines(stock, city_pack.load(city.home), mode=Mode.AUDIT)


def clusters(city: City) -> list[duplicates.Cluster]:
    """Possible duplicates of the whole city."""
    with _audit(city) as rules:
        return duplicates.of_city(rules)


def yearly(
    city: City,
    year: int,
    *,
    by_owner: bool,
    facts: Path | None = None,
    delivery: Path | None = None,
    received: str | None = None,
) -> kpi.Report:
    """The report of a year. What came is in the file `delivery`, or in the receiver's store `received` (a URL)."""
    known = {} if facts is None else scope.read_facts(facts)
    came = None if delivery is None else heard.read_file(delivery)
    if received is not None:
        came = came_in(city, received, year)
    with city.registry() as registry, registry.reading() as connection:
        stock = DatabaseStock(connection, datetime.now(UTC))
        rules = guidelines(stock, city_pack.load(city.home), mode=Mode.AUDIT)
        return kpi.make(
            rules,
            city=city.config.city.name,
            year=year,
            by_owner=by_owner,
            facts=known,
            heard=came,
            service=service.read(connection, year),
        )


def came_in(city: City | None, store: str, year: int) -> heard.Heard:
    """What a receiver's store holds of a year, by the city's rules or the proposal. Raises ReceiverError."""
    pack = (city_pack.proposed() if city is None else city_pack.load(city.home)).pack
    with _ledger(store) as ledger:
        begin, end = (datetime(each, 1, 1, tzinfo=UTC).timestamp() for each in (year, year + 1))
        return heard.read_store(ledger, begin, end, pack.figures.longest_gap_h)


@contextmanager
def _ledger(store: str) -> Iterator[Ledger]:
    if not store.startswith("postgres") and not Path(store.removeprefix("sqlite:")).is_file():
        raise ReceiverError(
            "There is no store of received readings.", value=store, next_step="lykta receive --store URL makes one"
        )
    ledger = open_store(store)
    try:
        yield ledger
    finally:
        ledger.close()


def covered(city: City, budget: Budget, received: str | None, *, exact: bool) -> coverage.Coverage:
    """Radio coverage of what stands and is planned; with a receiver's store, who was heard by whom too."""
    heard_by = None
    if received is not None:
        with _ledger(received) as ledger:
            heard_by = coverage.heard_by(ledger)
    with city.registry() as registry, registry.stock() as stock:
        return coverage.make(stock, budget, heard_by, exact=exact)


def write_covered(
    found: coverage.Coverage, form: coverage_map.Form, by: coverage.Group, out: Path | None
) -> str | None:
    """Write coverage into a new file; return it as text where there is no file."""
    text = coverage_map.as_geojson(found) if form == "geojson" else coverage_map.as_json(found, by)
    if out is None:
        return text
    write_new(out, text.encode(), PUBLIC_MODE)
    return None


def delivery(city: City | None, store: str, year: int) -> str:
    """The file of deliveries of a year, for somebody who cannot read the store."""
    return heard.as_csv(came_in(city, store, year))


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


def write_each(report: kpi.Report, form: KpiForm, folder: Path) -> list[Path]:
    """Write a file for the city and one for each owner, for their own yearly reports. Return them."""
    make_directory(folder)
    written = []
    for number, part in enumerate(report.parts):
        name = "city" if number == 0 else part.name.replace(" ", "-")
        path = folder / f"kpi-{report.year}-{name}.{form}"
        write_yearly(replace(report, parts=[part]), form, path)
        written.append(path)
    return written


def draw(report: kpi.Report, folder: Path, form: Literal["svg", "png"]) -> list[Path]:
    """Draw the city's figures."""
    return pictures.draw(report, folder, form)


def endings(city: City, days: int) -> list[expiring.Ending]:
    """What ends within so many days."""
    pack = city_pack.load(city.home).pack
    with city.registry() as registry, registry.stock() as stock:
        found = expiring.expiring(stock, pack, days)
    ca_end: date = city.ca_certificate().not_valid_after_utc.date()
    ca = expiring.Ending(ca_end, "CA certificate", city.config.city.name, "")
    return sorted([*found, ca]) if (ca_end - date.today()).days <= days else found


def open_catalogue(city: City, about: Path, form: catalogue.Form) -> tuple[str, list[released.HeldBack]]:
    """The catalogue of open data as text, and the datasets that may not be in it."""
    head = strict_toml.load(about, catalogue.Catalogue)
    with city.registry() as registry, registry.stock() as stock:
        datasets = objects(stock.connection, Dataset)
        rules = guidelines(stock, city_pack.load(city.home), mode=Mode.AUDIT)
        found, held_back = released.gate(rules, datasets)
        organisations = {each.id: each for each in stock.organisations()}
    licences = rules.pack.tables.licences
    return catalogue.write(head, found, organisations, form, licences=licences), held_back


def public_pages(city: City, folder: Path, feedback: str, language: Language) -> int:
    """Write the public pages; return for how many devices."""
    with _audit(city) as rules:
        return public.write(rules, folder, city=city.config.city.name, feedback=feedback, language=language)

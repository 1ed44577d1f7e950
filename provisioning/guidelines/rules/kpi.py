# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""KPI: what the yearly follow-up needs to be able to count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, OrganisationCase, organisation_rule, rule


@rule("KPI-1")
def component(case: Case) -> Iterator[Hit]:
    """It is counted as a component of the city's infrastructure."""
    if case.record.kpi is None:
        yield ask.missing("/kpi/component")


@organisation_rule("KPI-2", numbers=("day_of_january",))
def yearly_report(case: OrganisationCase) -> Iterator[Hit]:
    """The owner's report of last year is signed off: an approval with this rule's id and the year says so."""
    if not case.devices or case.today < date(case.today.year, 1, round(case.number("day_of_january"))):
        return
    year = str(case.today.year - 1)
    for each in case.stock.approvals():
        paper = each.paper
        about = paper.rule_id == "KPI-2" and paper.applicant_org == case.organisation.id and year in paper.application
        if about and each.signature.by("owner"):
            return
    values = {"org": case.organisation.name, "year": year, "org_id": case.organisation.id}
    yield Hit("unsigned", "", None, year, values)


@rule("KPI-3", when=lambda case: case.record.project is not None, numbers=("max_months",))
def project(case: Case) -> Iterator[Hit]:
    """A project says what it is good for, and when that can be seen."""
    found = case.record.project
    if found is None:
        return
    for name in ("start", "benefit_measure", "benefit_by"):
        if getattr(found, name) is None:
            yield ask.missing(f"/project/{name}", case="lacks", project=found.id, what=name)
    if found.start is not None and found.benefit_by is not None:
        months = case.number("max_months")
        latest = found.start + timedelta(days=round(months * ask.DAYS_PER_MONTH))
        if found.benefit_by > latest:
            values = {"project": found.id, "by": found.benefit_by, "latest": latest, "months": months}
            yield Hit("late", "/project/benefit_by", found.benefit_by, latest, values)

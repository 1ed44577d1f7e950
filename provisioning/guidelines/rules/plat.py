# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""PLAT: common platforms first, one way between systems, and a gateway that can be alone for a while."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit, Status
from provisioning.guidelines.rule import Answer, Case, rule

if TYPE_CHECKING:
    from provisioning.model.papers import Approval, Signed
    from provisioning.model.platforms import InterfaceTest, Platform

_KS: Final = frozenset({"ks", "slk"})
"""Only they answer for a common platform (strategy 4.1.2)."""
_EXCHANGE: Final = frozenset({"integration", "bigdata", "collect"})


def _is_local(case: Case) -> bool:
    platform = case.record.platform
    return platform is not None and platform.kind == "local"


def _common(case: Case) -> str:
    return next((each.id for each in case.stock.platforms() if each.kind == "common" and each.status == "active"), "–")


@rule("PLAT-1", when=lambda case: not _is_local(case))
def common_platform(case: Case) -> Iterator[Hit]:
    """It uses a platform of the register that all may use."""
    used = case.record.platform
    if used is None:
        yield ask.missing("/platform/id", common=_common(case))
        return
    entry = case.stock.platform(used.id)
    values = {"platform": used.id, "common": _common(case)}
    if entry is None:
        yield Hit("unknown", "/platform/id", used.id, values=values)
    elif entry.kind != "common":
        yield Hit("not_common", "/platform/kind", entry.kind, "common", values)
    elif entry.status != "active":
        yield Hit("not_active", "/platform/id", entry.status, "active", {**values, "status": entry.status})
    elif entry.responsible not in {each.org for each in case.stock.role_holders() if each.role in _KS}:
        yield Hit("not_ks", "/platform/id", entry.responsible, "ks", {**values, "org": entry.responsible})


@rule("PLAT-2", when=_is_local, numbers=("max_months", "warn_days"), weighs_approvals=True)
def local_platform(case: Case) -> Answer:
    """A platform of its own needs the leave of kommunstyrelsen, for a purpose and for a time."""
    used = case.record.platform
    platform_id = "" if used is None else used.id
    papers = case.stock.approvals(device_id=case.record.id, batch_id=case.record.batch, platform_id=platform_id)
    ours = [each for each in papers if each.paper.rule_id == "PLAT-2" and each.paper.platform_id == platform_id]
    problems = {each.paper.id: _problem(case, each) for each in ours}
    valid = [each.paper for each in ours if problems[each.paper.id] is None]
    values: dict[str, object] = {"platform": platform_id, "common": _common(case)}
    if not valid:
        told = "; ".join(f"{paper_id}: {problem}" for paper_id, problem in problems.items())
        hit = Hit(
            "invalid" if ours else "missing", "/platform/approval_ref", told or None, "ks", {**values, "why": told}
        )
        return Answer((hit,))
    last = max(valid, key=lambda paper: paper.valid_to)
    left = (last.valid_to - case.today).days
    if left > case.number("warn_days"):
        return Answer((), Status.APPROVED, (last.id,))
    values |= {"id": last.id, "until": last.valid_to, "days": left}
    return Answer((Hit("ending", "/platform/approval_ref", last.valid_to, values=values),))


def _problem(case: Case, signed: Signed[Approval]) -> str | None:
    """Why an approval of a platform does not count; None where it does."""
    paper, signature = signed.paper, signed.signature
    if signature.status != "valid":
        return f"signature {signature.status}"
    delegated = signature.role == "slk" and signature.delegation_ref is not None
    if not (signature.role == "ks" or delegated) or signature.role != paper.decided_by.role:
        return f"signed as {signature.role}"
    if paper.applicant_org != case.record.owner_org:
        return f"for {paper.applicant_org}"
    application = None if case.record.platform is None else case.record.platform.application
    if application not in paper.application:
        return f"for {', '.join(paper.application) or 'no application'}, not {application}"
    return _out_of_time(case, paper) or _nowhere_to_export(case, paper)


def _out_of_time(case: Case, paper: Approval) -> str | None:
    longest = timedelta(days=round(case.number("max_months") * ask.DAYS_PER_MONTH))
    if paper.valid_to - paper.valid_from > longest:
        return f"longer than {case.number('max_months'):g} months"
    if case.today < paper.valid_from:
        return f"from {paper.valid_from}"
    if case.today > paper.valid_to:
        return f"ended {paper.valid_to}, {(case.today - paper.valid_to).days} d"
    install = case.record.lifecycle.planned_install
    if not ask.stands(case.record) and install is not None and install > paper.valid_to:
        return f"ends {paper.valid_to}, installed {install}"
    return None


def _nowhere_to_export(case: Case, paper: Approval) -> str | None:
    if paper.export_to is None:
        return "no export_to"
    target = case.stock.platform(paper.export_to)
    if target is None or target.status != "active" or "integration" not in target.capabilities:
        return f"{paper.export_to} is no integration platform in use"
    return None


@rule("PLAT-3", when=lambda case: bool(case.record.streams))
def exchange(case: Case) -> Iterator[Hit]:
    """Data goes through integration platforms, not from system to system."""
    for pointer, stream in ask.streams(case.record):
        if not stream.sinks:
            yield ask.missing(f"{pointer}/sinks", case="no_sink", stream=stream.property, common=_common(case))
        for index, sink in enumerate(stream.sinks):
            field = f"{pointer}/sinks/{index}"
            values = {"sink": sink.platform_id, "common": _common(case), "reason": sink.reason or "–"}
            entry = case.stock.platform(sink.platform_id)
            if sink.kind == "direct":
                yield Hit("direct", f"{field}/kind", sink.platform_id, "integration", values)
            elif entry is None or not _EXCHANGE & set(entry.capabilities):
                yield Hit("unknown", f"{field}/platform_id", sink.platform_id, sorted(_EXCHANGE), values)


@rule("PLAT-4", when=lambda case: bool(case.record.streams))
def interface(case: Case) -> Iterator[Hit]:
    """Applications can fetch what is measured."""
    for pointer, stream in ask.streams(case.record):
        if stream.api_url is None:
            yield ask.missing(f"{pointer}/api_url", stream=stream.property)


@rule(
    "PLAT-5",
    when=lambda case: ask.highest(case.record, "T") >= case.number("from_class"),
    numbers=("from_class", "least_hours"),
)
def alone(case: Case) -> Iterator[Hit]:
    """What must be available is kept while the way is closed (EN 303 645, 5.9-2)."""
    hours, least = case.record.store_forward_h, case.number("least_hours")
    if hours is None:
        yield ask.missing("/store_forward_h", least, least=least)
    elif hours < least:
        yield Hit("short", "/store_forward_h", hours, least, {"hours": hours, "least": least})


@rule("PLAT-6", when=lambda case: any(True for _ in _published(case)), numbers=("test_months",))
def tested(case: Case) -> Iterator[Hit]:
    """A platform speaks what its published interface says: a test has shown it, not too long ago (R-08)."""
    months = case.number("test_months")
    for field, platform in _published(case):
        test, values = platform.api_test, {"platform": platform.id, "months": months}
        if test is None or (test.kind, test.url) != (platform.api_kind, platform.api_url):
            yield Hit("never", field, None, "a passed test", values)
            continue
        values["date"] = test.at.date()
        if not test.passed:
            yield Hit("failed", field, "failed", "a passed test", {**values, "step": _broken(test)})
        elif case.now - test.at > timedelta(days=months * ask.DAYS_PER_MONTH):
            yield Hit("old", field, test.at.date(), months, values)


def _broken(test: InterfaceTest) -> str:
    return next((each.name for each in test.steps if each.outcome == "failed"), "–")


def _published(case: Case) -> Iterator[tuple[str, Platform]]:
    """The platforms that this record's data goes to and that publish an interface; each once."""
    named = [] if case.record.platform is None else [("/platform/id", case.record.platform.id)]
    for pointer, stream in ask.streams(case.record):
        named += [(f"{pointer}/sinks/{at}/platform_id", sink.platform_id) for at, sink in enumerate(stream.sinks)]
    for platform_id in dict.fromkeys(each for _, each in named):
        entry = case.stock.platform(platform_id)
        if entry is not None and entry.api_url is not None:
            yield next(field for field, each in named if each == platform_id), entry

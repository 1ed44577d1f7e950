# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Import of a batch: all rows or none, unless the good ones are to go in; run again, it goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from provisioning.errors import ProvisioningError, RefusedByRules
from provisioning.model.device import DeviceRecord
from provisioning.register import refusals
from provisioning.register.files import Row
from provisioning.register.registration import Options, Result, register

if TYPE_CHECKING:
    from provisioning.model.verdict import Verdict
    from provisioning.registry import Registry

CHUNK: Final = 500
"""Rows of one transaction of a partial import; rows of one batch are never parted."""
Status = Literal["registered", "needs_approval", "already", "refused", "held_back"]


@dataclass(frozen=True)
class RowReport:
    """What became of one row."""

    number: int
    name: str
    status: Status
    """`held_back`: it is good, but others of its file are not and nothing was registered."""
    device_id: str | None = None
    lines: tuple[str, ...] = ()
    verdict: Verdict | None = None
    """What the rules say of it, where they were asked and are not content."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {name: value for name, value in vars(self).items() if name != "verdict"}


class _TakenBack(Exception):
    def __init__(self, reports: list[RowReport]) -> None:
        super().__init__()
        self.reports = reports


def import_rows(
    registry: Registry, rows: Sequence[Row], options: Options, *, partial: bool, part: int = CHUNK
) -> list[RowReport]:
    """Register rows; return what became of each. Without `partial` a single bad row keeps all of them out.

    A row that was registered before, exactly as it is, is `already` there: an import that was interrupted is run again.
    """
    if not partial:
        try:
            with registry.change() as change:
                results = register(change, registry.keys(), _records(rows), options)
                reports = _reports(rows, results)
                _take_back_if_refused(reports)
        except _TakenBack as taken_back:
            refusals.keep(registry, [result.error for result in results])
            return [_held_back(report) for report in taken_back.reports]
        return reports
    reports = []
    for chunk in _chunks(rows, part):
        with registry.change() as change:
            results = register(change, registry.keys(), _records(chunk), options)
            reports += _reports(chunk, results)
            for result in results:
                if isinstance(result.error, RefusedByRules):
                    refusals.log(change, result.error)
    return reports


def _take_back_if_refused(reports: list[RowReport]) -> None:
    if any(report.status == "refused" for report in reports):
        raise _TakenBack(reports)


def _records(rows: Sequence[Row]) -> list[DeviceRecord]:
    return [row.record for row in rows if row.record is not None]


def _chunks(rows: Sequence[Row], part: int) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        batch = None if row.record is None else row.record.batch
        last = chunk[-1].record.batch if chunk and chunk[-1].record is not None else None
        if len(chunk) >= part and (batch is None or batch != last):
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk


def _reports(rows: Sequence[Row], results: Sequence[Result]) -> list[RowReport]:
    remaining = iter(results)
    return [_bad(row) if row.record is None else _report(row, row.record, next(remaining)) for row in rows]


def _bad(row: Row) -> RowReport:
    lines = () if row.error is None else tuple(row.error.lines())
    return RowReport(row.number, "", "refused", lines=lines)


def _report(row: Row, record: DeviceRecord, result: Result) -> RowReport:
    name = record.name or record.dev_eui or record.id or record.kind
    if result.record is None:
        error: ProvisioningError | None = result.error
        lines = () if error is None else tuple(error.lines())
        return RowReport(row.number, name, "refused", lines=lines, verdict=result.verdict)
    waits = result.record.lifecycle.stage == "needs_approval"
    status: Status = "already" if result.already else "needs_approval" if waits else "registered"
    verdict = result.verdict if result.verdict is not None and result.verdict.outcome != "ok" else None
    return RowReport(row.number, name, status, result.record.id, tuple(verdict.lines() if verdict else ()), verdict)


def _held_back(report: RowReport) -> RowReport:
    if report.status in {"registered", "needs_approval"}:
        return RowReport(report.number, report.name, "held_back", None, report.lines, report.verdict)
    return report

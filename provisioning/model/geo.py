# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Distances on the ground, and the grid that finds what is near without asking everything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius of WGS 84 (IUGG R1)."""
CELL_DEG: Final = 0.005
"""Side of a grid cell: 556 m from south to north, 286 m from west to east in Stockholm."""
_COLUMNS: Final = round(360 / CELL_DEG)
_ROWS: Final = round(180 / CELL_DEG)
MAX_RADIUS_M: Final = 20_000.0


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance (haversine formula) of two places in degrees."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half_phi, half_lambda = (phi2 - phi1) / 2, math.radians(lon2 - lon1) / 2
    a = math.sin(half_phi) ** 2 + math.cos(phi1) * math.cos(phi2) * math.sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(a)))


def cell(lat: float, lon: float) -> int:
    """Return the number of the grid cell of a place: rows from the south pole, columns from 180 degrees west."""
    return _number(_row(lat), _column(lon))


def cell_ranges(lat: float, lon: float, radius_m: float) -> Iterator[tuple[int, int]]:
    """Yield first and last cell number of runs of cells that together cover all places within `radius_m`.

    Raises ValueError for a radius that is negative or more than MAX_RADIUS_M.
    """
    if not 0 <= radius_m <= MAX_RADIUS_M:
        raise ValueError(f"a search radius is 0 to {MAX_RADIUS_M:g} m, not {radius_m!r}")
    reach = radius_m / EARTH_RADIUS_M * 1.000001  # radians; a little more, so that rounding loses nothing
    rows = range(_row(lat - math.degrees(reach)), _row(lat + math.degrees(reach)) + 1)
    # Half the width of a spherical cap, in longitude; a cap that holds a pole has all longitudes.
    at_pole = math.radians(abs(lat)) + reach >= math.pi / 2
    span = 180.0 if at_pole else math.degrees(math.asin(min(1.0, math.sin(reach) / math.cos(math.radians(lat)))))
    west, east = lon - span, lon + span
    for row in rows:
        if span >= 180:
            yield _number(row, 0), _number(row, _COLUMNS - 1)
        elif west < -180 or east > 180:  # across the date line
            yield _number(row, _column(_wrapped(west))), _number(row, _COLUMNS - 1)
            yield _number(row, 0), _number(row, _column(_wrapped(east)))
        else:
            yield _number(row, _column(west)), _number(row, _column(east))


def _wrapped(lon: float) -> float:
    return (lon + 180) % 360 - 180


def _row(lat: float) -> int:
    return min(max(math.floor((lat + 90) / CELL_DEG), 0), _ROWS - 1)


def _column(lon: float) -> int:
    return min(max(math.floor((lon + 180) / CELL_DEG), 0), _COLUMNS - 1)


def _number(row: int, column: int) -> int:
    return row * _COLUMNS + column

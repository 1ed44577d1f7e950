# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Calendar arithmetic on Unix seconds, without any time zone but the ones given. Source: Hinnant, chrono-compatible
low-level date algorithms (days from and to the civil calendar)."""

DAY_S = 86400


def civil(day: int) -> tuple:
    """Return (year, month, day) of a day number counted from 1970-01-01."""
    day += 719468
    era = day // 146097
    of_era = day - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    month_day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (1 if month <= 2 else 0), month, month_day


def number(year: int, month: int, day: int) -> int:
    """Return the day number of a date."""
    year -= 1 if month <= 2 else 0
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def weekday(day: int) -> int:
    """Return 0 for Monday to 6."""
    return (day + 3) % 7


def _last_sunday(year: int, month: int) -> int:
    last = number(year, month, 31)
    return last - (weekday(last) + 1) % 7


def offset_s(unix_s: int, standard_min: int, eu_summer_time: bool) -> int:
    """Return local time minus UTC. EU summer time (2000/84/EC) turns on last Sundays, 01:00 UTC."""
    offset = standard_min * 60
    if eu_summer_time:
        year = civil(unix_s // DAY_S)[0]
        if _last_sunday(year, 3) * DAY_S + 3600 <= unix_s < _last_sunday(year, 10) * DAY_S + 3600:
            offset += 3600
    return offset

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a street light can be told: how it is lit through the night, and commands. docs/street-light.md explains them.

A program is ``[days, steps]``: bit 0 of *days* is Monday; a step ``[anchor, minutes, percent]`` happens so many minutes
after the anchor: 0 local midnight, 1 sunset, 2 sunrise. The light keeps a level until the next step.
"""

from firmware.wire.shapes import BOOL

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

    from firmware.wire.kinds import Setting

_STEP = ("row", (0, 2), (-720, 1439), (0, 100))
_PROGRAM = ("row", (0, 127), ("list", _STEP, 8))

DUSK_TO_DAWN = [127, [[1, 0, 100], [2, 0, 0]]]
PROGRAM_KEYS = (40, 41, 42, 43)

SETTINGS: "tuple[Setting, ...]" = (
    # name, key, shape, default
    ("latitude_udeg", 20, (-90000000, 90000000), 59330000),
    ("longitude_udeg", 21, (-180000000, 180000000), 18070000),
    ("positioned", 22, BOOL, False),  # without a position there is no astronomical clock
    ("utc_offset_min", 23, (-720, 840), 60),
    ("eu_summer_time", 24, BOOL, True),
    ("sun_altitude_cdeg", 25, (-1800, 500), -83),  # -0.83 degrees: the upper limb on the horizon
    ("photocell_mode", 26, (0, 2), 1),  # 0 never, 1 when the clock is lost, 2 also in dark weather
    ("on_below_lx", 27, (1, 1000), 35),
    ("off_above_lx", 28, (2, 2000), 70),
    ("fade_ms", 29, (0, 60000), 3000),
    ("min_dim_pct", 30, (0, 50), 10),
    ("override_max_min", 31, (1, 1440), 480),
    ("clo", 32, ("list", ("row", (0, 200), (50, 100)), 6), []),  # [burn hours / 1000, percent of full output]
    ("rated_w", 33, (0, 2000), 0),  # 0: do not judge the lamp by its power
    ("low_v", 34, (0, 500), 198),
    ("high_v", 35, (0, 500), 264),
    ("tilt_deg", 36, (1, 90), 15),
    ("hot_c", 37, (30, 120), 85),
    ("gear_count", 38, (0, 16), 0),  # on DALI, from short address 0 on; 0: the one that the board's file names
    ("program_0", 40, _PROGRAM, DUSK_TO_DAWN),
    ("program_1", 41, _PROGRAM, [0, []]),
    ("program_2", 42, _PROGRAM, [0, []]),
    ("program_3", 43, _PROGRAM, [0, []]),
    ("exceptions", 44, ("list", ("row", (101, 1231), (0, 3)), 12), []),  # [month * 100 + day, program]
)

COMMANDS = (
    # name, key, ((argument, key, shape)...)
    ("dim", 20, (("percent", 0, (0, 100)), ("minutes", 1, (1, 1440)), ("fade_ms", 2, (0, 60000)))),
    ("release", 21, ()),
    ("reset_counters", 22, (("burn_hours", 0, BOOL), ("switches", 1, BOOL))),
    ("address_gear", 23, (("anew", 0, BOOL),)),  # short addresses on DALI
)

COMPONENTS = (
    ("lamp", 8),
    ("gear", 9),
    ("meter", 10),
    ("photocell", 11),
    ("thermometer", 12),
    ("tilt", 13),
    ("door", 14),
)


def contradiction(values: "dict[str, Any]") -> "int | None":
    """Return the key of a setting that does not fit the others, or None. *values* has all settings by name."""
    if values["off_above_lx"] <= values["on_below_lx"]:
        return 28
    if values["high_v"] <= values["low_v"]:
        return 35
    hours = [row[0] for row in values["clo"]]
    if hours != sorted(set(hours)):
        return 32
    return None

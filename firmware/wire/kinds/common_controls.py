# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What every device can be told: settings on FPort 5, commands on FPort 3. Keys of a kind's own begin at 20."""

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from firmware.wire.kinds import Setting

SETTINGS: "tuple[Setting, ...]" = (
    # name, key, shape, default
    ("interval_s", 1, (0, 86400), 0),  # 0: as the board was made
    ("status_every_h", 2, (1, 168), 24),
    ("groups", 3, ("list", (1, 255), 8), []),
    ("contact_lost_h", 4, (1, 720), 48),
)

COMMANDS = (
    # name, key, ((argument, key, shape)...)
    ("report_status", 1, ()),
    ("self_test", 2, ()),
    ("maintenance", 3, (("minutes", 0, (0, 1440)),)),
    ("restart", 4, ()),
)

# Arguments that every command may have: only devices of this group obey, and only until then.
GROUP = 14
NOT_AFTER = 15
MODIFIERS = (("group", GROUP, (1, 255)), ("not_after_s", NOT_AFTER, (0, 0xFFFFFFFF)))

COMPONENTS = (
    # name, key: results of a self-test, and bits of the field selftest_failed
    ("flash", 0),
    ("clock", 1),
    ("radio", 2),
    ("settings", 3),
    ("heap", 4),
)

# what a self-test says of a component
WORKS = 0
BROKEN = 1
ABSENT = 2  # not on this board
WAITS = 3  # it is too early to say

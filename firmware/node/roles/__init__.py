# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Roles: what a board of one kind does, one module per kind, found by the kind's name.

A module ``<kind>.py`` has ``open_role(board, files)``. It returns an object that is safe from its first moment, with:

- ``control()``: look and act once; called every second;
- ``await measure()``: a dict of field name to physical value; what a broken sensor cannot tell is left out;
- ``fail_safe()``: put the hardware into the state that harms nobody; works whatever else is broken;
- ``alarm``, set by the node before the first ``control()``: to be called when something cannot wait. What ``measure()``
  tells then is sent at once, confirmed, and again until it is held; at most one a minute.

It may also have:

- ``control_ms``: so often ``control()`` is called instead; may change from time to time;
- ``sleeps``: true when the processor is to sleep while nothing has to be done, over a link that allows it;
- ``wait_ms(interval_ms)``: how long to wait from now to the next ``measure()``;
- ``alarms()``: fields of a reading that must not wait, {} when there are none; what was told is not told again.
"""

from firmware.node.errors import ConfigError


def open_role(kind: str, board: dict, files):
    """Return the role for *kind* on the pins of *board*. Raises ConfigError when this firmware has none."""
    try:
        module = __import__("firmware.node.roles." + kind, None, None, ["open_role"])
    except ImportError:
        raise ConfigError("identity: kind is %r; this firmware has no roles/%s" % (kind, kind))
    return module.open_role(board, files)

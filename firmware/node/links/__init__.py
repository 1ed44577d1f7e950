# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Links: pipes for PHYPayloads, one module per kind, found by the name in the configuration.

A module ``<name>.py`` has ``open_link(config)``, which returns an object with:

- ``max_payload``: application bytes that one frame may carry;
- ``reply_timeout_ms``: how long to wait for the network's answer to an uplink;
- ``await send(phy)``: put one frame on the line; a frame may be lost, never changed;
- ``await receive()``: the next frame's bytes. Raises LeaveToRepl, LinkClosed;
- ``on_heard``: None, or what to call for every sign of life from the other side, frame or not;
- ``unsent``: counts frames that the line did not take.

Optional, for links that share the air with others and answer to LoRaWAN's timing (see ``lora.py``):

- ``layer``: a ``lorawan.layer.Layer``, which the network asks before it makes a frame;
- ``attach(network)``: hands over what the link calls: ``deliver(phy, snr_db, class_c)`` returns NOT_OURS, OURS or ACK
  at once, while a window is open; ``left(at_ms)`` at the end of each uplink; ``alive(within_ms)`` before a long wait;
- ``rejoin_after``: how many unanswered requests in a row stand for a lost session.

Optional, for links whose other side comes and goes (see ``ble.py``):

- ``reachable``: whether anybody listens; while not, nothing is made or sent. ``on_heard`` tells that somebody listens
  again;
- ``away(waiting, alarm)``: told again and again whether something waits, and whether that is an alarm;
- ``answer(phy)``, ``connections``, ``console_key``: a person may talk to the board over it (see ``console.py``);
- ``judged(ours)``: whether the frame that ``receive`` gave last was authentic;
- ``near``: while true, frames do not go on air, and the rules of ``layer`` do not bind them (see ``lora_ble.py``);
- ``doubtful``: the next frame should be one that is answered.

A link knows bytes, never keys or readings.
"""

from firmware.node.errors import ConfigError

NOT_OURS = 0
OURS = 1
ACK = 2  # ours, and it acknowledges


def open_link(name: str, config):
    """Return the link called *name*. Raises ConfigError when this firmware has none of that name."""
    try:
        module = __import__("firmware.node.links." + name, None, None, ["open_link"])
    except ImportError:
        raise ConfigError("identity: link is %r; this firmware has no links/%s" % (name, name))
    return module.open_link(config)

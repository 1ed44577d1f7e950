# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A join, at the board's end. Loaded when one begins or ends, and given back."""

import struct

from firmware.node.errors import JoinRefused
from firmware.wire import joining
from firmware.wire.crypto import derive_session_keys


def request(app, config, nonce: int) -> bytes:
    """Return a Join-Request; *app* encrypts under the AppKey."""
    return joining.encode_join_request(app, config.join_eui, config.dev_eui, nonce)


def accept(app, phy: bytes, asked: int | None, last: bytes | None) -> tuple:
    """Return the fields of a Join-Accept and its session keys; *asked* is the DevNonce, *last* the last JoinNonce.

    Raises Malformed, NotAuthentic, JoinRefused.
    """
    answer = joining.decode_join_accept(app, phy)
    if asked is None:
        raise JoinRefused("a Join-Accept that nobody asked for")
    if last is not None and len(last) == 4 and answer.join_nonce <= struct.unpack("<I", last)[0]:
        # TS001 section 6.2.6: a counter that never repeats; an old one is a recorded Join-Accept
        raise JoinRefused("JoinNonce %d was seen before" % answer.join_nonce)
    return answer, derive_session_keys(app, answer.join_nonce, answer.net_id, asked)

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Why nothing answers at an address, and what a person does about it."""

from __future__ import annotations

import errno
import os

from gateway.operate.web.settings import parse_listen


def absence(listen: str, error: Exception, again_s: float, take: str = "lykta-gateway reload") -> dict[str, str]:
    """Return ``why`` there is no page at this address, and the ``next_step``; *take* is how a change is taken.

    It is tried again every *again_s*.
    """
    number = error.errno if isinstance(error, OSError) else None
    why = f"{listen}: {error if number is None else os.strerror(number)}"
    step = "correct [operate] in gateway.toml"
    if number == errno.EADDRINUSE:
        port = parse_listen(listen)[1]
        step = (
            f"ss -ltnp 'sport = :{port}' names the program that has the port; end it, and the page comes within "
            f"{again_s:.0f} s; or set another operate.listen"
        )
    elif number == errno.EADDRNOTAVAIL:
        step = "ip address lists the addresses of this machine; correct operate.listen"
    return {"why": why, "next_step": f"{step}, then {take}"}

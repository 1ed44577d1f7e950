# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The vectors of ECDSA under MicroPython, in a heap of 64 KB beside what the vectors need.

micropython tests/upy/p256.py VECTORS      prints how long one takes, then "ok" or a traceback
"""

import binascii
import json
import sys
import time

from firmware.node import p256


def main():
    with open(sys.argv[1]) as file:
        cases = json.load(file)["cases"]
    took_us = 0
    for case in cases:
        parts = [binascii.unhexlify(case[name]) for name in ("public", "digest", "signature")]
        begun = time.ticks_us()
        assert p256.verify(*parts) == case["valid"], case["what"]
        took_us = max(took_us, time.ticks_diff(time.ticks_us(), begun))
    print("%d cases, the longest %d ms" % (len(cases), took_us // 1000))
    assert len(cases) > 50
    print("ok")


main()

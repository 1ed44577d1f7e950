# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Runs first. Lies at the root of the board as /boot.py."""

import micropython

micropython.kbd_intr(-1)  # the console carries frames: a 0x03 in one is no Ctrl-C. The node finds real ones itself.

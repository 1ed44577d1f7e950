# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Runs the node. Lies at the root of the board as /main.py. When it ends, the prompt appears."""

import micropython

micropython.kbd_intr(-1)

from firmware.node import start  # noqa: E402  after the console is protected

start.main()

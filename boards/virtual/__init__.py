# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The virtual board: shipped firmware on the real MicroPython interpreter, with simulated hardware around it."""

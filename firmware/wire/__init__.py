# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The dialect both sides speak: runs unchanged on MicroPython and on CPython.

Nothing here does I/O, knows a clock or holds a key longer than its session. Imports stay at the level of
``struct`` and ``binascii``; AES is injected (see ``crypto``), so every port brings the engine that it has.
"""

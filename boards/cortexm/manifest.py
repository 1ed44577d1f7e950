# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# The scheduler lies in the flash of every board that MicroPython is released for; here too.
include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821  a function of the manifest's reader

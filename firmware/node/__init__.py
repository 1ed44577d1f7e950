# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The application on the board: samples, keeps every reading in flash until it is receipted, speaks LoRaWAN frames.

Ordinary MicroPython for any port. ``start`` joins the parts; ``slots``, ``store``, ``counters``, ``queue`` and
``delivery`` do no I/O of their own (files are handed to them) and run on CPython too.
"""

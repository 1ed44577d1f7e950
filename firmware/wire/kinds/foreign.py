# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A sensor of any vendor, which speaks LoRaWAN but not this dialect: a decoder at the gateway says what it measured."""

KIND = "foreign"

FIELDS = ()

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Bluetooth LE without a radio: one air of virtual controllers, and the host stack of a virtual board on it.

Needs the package bumble, which is imported only by who switches Bluetooth on. docs/virtual-ble.md explains it.
"""

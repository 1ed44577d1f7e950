# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A technician near a board: who is in reach by Bluetooth LE, and a console on one of them."""

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The simulated air between radios: physics and decisions (medium), and a socket for the radios of other processes."""

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Sensors, one module per chip. A sensor that does not answer raises OSError; what then is the role's decision."""

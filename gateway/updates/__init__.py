# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Carries signed releases to boards, as far as the register's roll-outs say; boards judge them themselves."""

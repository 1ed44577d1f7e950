# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Updates in the field: signed releases, and how they reach boards, in waves."""

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Parts of a street light: when it should shine, how it is dimmed, what can be wrong with it."""

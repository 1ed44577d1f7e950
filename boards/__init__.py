# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One TOML file per board, real and virtual alike, and what turns firmware into files for a board."""

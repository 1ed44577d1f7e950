# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The objects of the register and what the rules may ask of them. Pure: no database, no files, no network."""

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the city is told: figures, duplicates, what runs out, the open catalogue, the public register."""

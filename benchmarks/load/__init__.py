# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The real daemon under load: a city on disk, frames sealed beforehand, and a generator that keeps to a rate."""

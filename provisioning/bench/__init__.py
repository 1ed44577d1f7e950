# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The technician's bench: boards on serial ports are found, installed, enrolled, labelled, diagnosed and updated."""

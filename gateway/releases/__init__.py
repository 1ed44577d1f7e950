# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What may leave through one output: an envelope opened, each reading cut down to what that output's readers may see.

Pure: no I/O, no clock. What the register says of a device comes in as plain facts (provisioning.outputs).
"""

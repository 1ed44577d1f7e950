# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The outbox in a machine of QEMU's whose power is cut while it writes: `make powercut-test`."""

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The packaged gateway on the real BlueZ, in a machine of QEMU's: `make ble-vm-test`."""

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The provisioning tool and the register: city, keys, certificates, devices, gateways. It never imports the gateway."""

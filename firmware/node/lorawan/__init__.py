# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRaWAN 1.0.4 of a Class A or C device, EU863-870. Loaded by links/lora.py only: no other link needs it.

TS001 = LoRaWAN L2 Specification 1.0.4, RP002 = Regional Parameters RP002-1.0.4, TS009 = Certification Protocol 1.2.
"""

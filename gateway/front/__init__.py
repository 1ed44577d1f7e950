# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The front of several workers: it owns the UDP ports of the packet forwarders, and hands each frame to its worker.

It speaks Semtech UDP on both sides, knows no key and keeps nothing: a worker is an ordinary gateway whose forwarders
all seem to be at one address. Files, in the order of a datagram: ``entry`` (who may speak), ``scan`` (whose frame it
is), ``trunk`` (to a worker and back), ``way_down`` (downlinks), ``line`` (one port), ``service`` (the process).
"""

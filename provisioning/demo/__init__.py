# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta demo`: a board, a gateway, a broker and a verifier on one computer, from reading to proof."""

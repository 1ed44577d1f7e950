# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway daemon. Its folders are the stages that a frame passes, in order; ``daemon`` joins them."""

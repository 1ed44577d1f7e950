# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0

# A Cortex-M3 with the memory of a small microcontroller, emulated: MicroPython's own QEMU board, and what the node
# needs beyond it. tools/cortexm.sh puts this folder beside the boards of ports/qemu.
include boards/MPS2_AN385/mpconfigboard.mk

CFLAGS += -I$(BOARD_DIR) -DMP_CONFIGFILE='<lykta_config.h>'
SRC_C += $(BOARD_DIR)/lykta_time.c

# With its stack (10 KB) and static data the whole is just below 128 KB.
MICROPY_HEAP_SIZE = 119808
MICROPY_VFS_LFS2 = 1
FROZEN_MANIFEST = $(BOARD_DIR)/manifest.py
LDFLAGS += -T $(BOARD_DIR)/unwind.ld

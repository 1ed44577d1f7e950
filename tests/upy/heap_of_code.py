# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How much heap the code of a node takes, all of it loaded and nothing of it running.

micropython heap_of_code.py ROLE LINK RADIO      in the root of a built tree; prints the bytes
"""

import gc
import sys


class Machine:  # stands for a port's own, which is not on the heap
    pass


for _name in ("ADC", "I2C", "PWM", "Pin", "RTC", "SPI", "Timer", "UART", "WDT", "reset"):
    setattr(Machine, _name, Machine)
sys.modules["machine"] = Machine

import asyncio  # noqa: E402, F401  of the port

role, link, radio = sys.argv[1:]
names = ["start", "app", "roles." + role, "links." + link]
if link == "lora":
    names += ["radio." + radio, "lorawan.certification"]
gc.threshold(4096)
gc.collect()
before = gc.mem_alloc()
for name in names:
    __import__("firmware.node." + name)
gc.collect()
print(gc.mem_alloc() - before)

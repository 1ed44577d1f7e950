// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
// Time for the emulated board, from its counter of microseconds.
// ARM DAI0385 (application note AN385), FPGA system control: COUNTER counts up once in PRESCALE + 1 cycles of 25 MHz.

#include "py/mphal.h"
#include "py/runtime.h"

#define FPGAIO_COUNTER (*(volatile uint32_t *)0x40028018)
#define FPGAIO_PRESCALE (*(volatile uint32_t *)0x4002801C)
#define CYCLES_PER_US (25)

static uint32_t whole_ms, rest_us; // kept apart: a division of 64 bits would need more of the C library than there is

static uint32_t now_us(void) {
    static uint32_t last;
    if (FPGAIO_PRESCALE != CYCLES_PER_US - 1) {
        FPGAIO_PRESCALE = CYCLES_PER_US - 1;
        last = FPGAIO_COUNTER;
    }
    uint32_t count = FPGAIO_COUNTER;
    uint32_t passed_us = count - last; // right across the wrap, as long as somebody asks once in 71 minutes
    last = count;
    whole_ms += passed_us / 1000;
    rest_us += passed_us % 1000;
    if (rest_us >= 1000) {
        rest_us -= 1000;
        whole_ms += 1;
    }
    return count;
}

mp_uint_t mp_hal_ticks_us(void) {
    return now_us();
}

mp_uint_t mp_hal_ticks_ms(void) {
    now_us();
    return whole_ms;
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return FPGAIO_COUNTER;
}

void mp_hal_delay_us(mp_uint_t us) {
    uint32_t begun = now_us();
    while (now_us() - begun < us) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint32_t begun = mp_hal_ticks_ms();
    while (mp_hal_ticks_ms() - begun < ms) {
        mp_handle_pending(true);
    }
}

uint64_t mp_hal_time_ns(void) {
    return (uint64_t)mp_hal_ticks_ms() * 1000000;
}

// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
// Included by extmod/modos.c. Numbers for an emulator, the same at each start: never for keys.

static mp_obj_t mp_os_urandom(mp_obj_t size_in) {
    static uint32_t state = 2463534242u;
    vstr_t bytes;
    vstr_init_len(&bytes, mp_obj_get_int(size_in));
    for (size_t i = 0; i < bytes.len; i++) {
        state ^= state << 13; // Marsaglia's xorshift
        state ^= state >> 17;
        state ^= state << 5;
        bytes.buf[i] = (char)state;
    }
    return mp_obj_new_bytes_from_vstr(&bytes);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_urandom_obj, mp_os_urandom);

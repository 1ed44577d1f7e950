#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# In the machine: runs each line that comes through the port as a shell command; after its output a line "\036STATUS".
port=/dev/virtio-ports/agent
exec 0<>"$port" 1>&0 # a port is opened once
printf 'ready\n'
while read -r line; do
  timeout 120 sh -c "$line" 2>&1 </dev/null
  printf '\n\036%d\n' "$?"
done

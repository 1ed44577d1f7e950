#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# tools/ble_vm/kernel.sh ROOT   unpacks Debian's kernel into ROOT/kernel; installed, it would want a boot loader's company.
set -euo pipefail
root=$1
mkdir -p "$root/kernel"
package=$(chroot "$root" apt-cache depends linux-image-amd64 | sed -nE 's/.*Depends: (linux-image-[0-9].*)/\1/p' | head -1)
chroot "$root" sh -c "cd /kernel && apt-get -o APT::Sandbox::User=root download -qq '$package' && dpkg-deb -x linux-image-*.deb /kernel && rm linux-image-*.deb"

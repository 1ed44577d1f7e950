#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# tools/debian_root.sh SUITE   makes build/roots/SUITE.tar: a fresh Debian with systemd and Python, once. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$1
target=build/roots/$suite.tar
[ ! -s "$target" ] || exit 0
missing=()
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
mkdir -p build/roots
echo "making a fresh Debian ($suite)"
mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,python3,procps "$suite" "build/roots/$suite.new.tar"
mv "build/roots/$suite.new.tar" "$target"

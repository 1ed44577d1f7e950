#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# Codecs of other hands that the tests check ours against: lora-packet (LoRaWAN) and cborg (CBOR), into tests/independent/node_modules.
# Node.js and npm are installed with apt-get where that needs no password; otherwise this says what to install and fails.
set -euo pipefail
cd "$(dirname "$0")/../tests/independent"

has_node() { command -v node >/dev/null && command -v npm >/dev/null; }

if ! has_node && command -v apt-get >/dev/null; then
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  if [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; then
    echo "installing nodejs npm with apt-get"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
  fi
fi

if ! has_node; then
  cat >&2 <<END

The tests need Node.js and npm, and installing a system package takes a password here. Run this once, then \`make test\` again:

  Debian, Ubuntu:  sudo apt-get install nodejs npm
  Fedora:          sudo dnf install nodejs npm
  Arch:            sudo pacman -S nodejs npm

(\`make demo\` does not.)
END
  exit 1
fi

# The stamp is written last, so an interrupted installation is made anew.
stamp=node_modules/.lykta.stamp
wanted=$(cat package.json package-lock.json | sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0
echo "installing $(grep -o '"lora-packet": *"[^"]*"' package.json | tail -1) with npm"
said=$(npm ci --silent --ignore-scripts --no-audit --no-fund 2>&1) || {
  printf '\n%s\n\nnpm could not install lora-packet (its last lines are above). With a network connection, run the same command again.\n' "$said" >&2
  exit 1
}
printf '%s' "$wanted" >"$stamp"

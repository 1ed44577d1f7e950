#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# Programs that the tests use and that no Python package brings: a standard MQTT broker (mosquitto), libfaketime,
# a browser (Chromium), the server of PostgreSQL and a D-Bus daemon, which the tests start themselves on a port or
# socket and in a directory of their own.
# Installed with apt-get where that needs no password; otherwise this says what to install and fails.
set -euo pipefail

has_mosquitto() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v mosquitto >/dev/null; }
has_faketime() { compgen -G '/usr/lib*/*/faketime/libfaketime.so.1' >/dev/null || compgen -G '/usr/lib*/faketime/libfaketime.so.1' >/dev/null; }
has_chromium() { command -v chromium >/dev/null || command -v google-chrome >/dev/null; }
has_dbus() { command -v dbus-daemon >/dev/null; }
has_postgresql() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

missing=()
has_mosquitto || missing+=(mosquitto)
has_faketime || missing+=(libfaketime)
has_chromium || missing+=(chromium)
has_postgresql || missing+=(postgresql)
has_dbus || missing+=(dbus-daemon)
[ ${#missing[@]} -eq 0 ] && exit 0

if command -v apt-get >/dev/null; then
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  if [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; then
    echo "installing ${missing[*]} with apt-get"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    exit 0
  fi
fi

cat >&2 <<END

The tests need ${missing[*]}, and installing a system package takes a password here. Run this once, then \`make test\` again:

  Debian, Ubuntu:  sudo apt-get install ${missing[*]}
  Fedora:          sudo dnf install ${missing[*]}
  Arch:            sudo pacman -S ${missing[*]}

(\`make demo\` needs neither.)
END
exit 1

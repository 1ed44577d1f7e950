#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# tools/deb_test.sh SUITE   boots a fresh Debian in systemd-nspawn and is a new operator there: four commands, then what
# the service must stand: reload, a wrong configuration, kill -9, a stuck process, an upgrade, removal, purge.
# What was said is in build/deb-test/SUITE.txt. Needs root; everything happens in a root directory of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree" "$work/share" build/deb-test
tar -C "$work/tree" -xf "build/roots/$suite.tar"
cp dist/lykta_*_"$suite"_*.deb packaging/deb/first-run.sh "$work/share/"
cp tools/deb_test_inside.sh "$work/share/run.sh"
cp tools/deb_test_devices.py "$work/share/devices.py"
cat >"$work/tree/etc/systemd/system/deb-test.service" <<END
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'bash /share/run.sh >/share/said.txt 2>&1; echo \$\$? >/share/code'
ExecStopPost=/bin/systemctl poweroff --no-block
TimeoutStartSec=880
[Install]
WantedBy=multi-user.target
END
mkdir -p "$work/tree/etc/systemd/system/multi-user.target.wants"
ln -s ../deb-test.service "$work/tree/etc/systemd/system/multi-user.target.wants/"
rm -f "$work/tree/etc/machine-id"
systemd-firstboot --root="$work/tree" --setup-machine-id >/dev/null 2>&1 || true

# systemd 257 (trixie) wants control groups of version 2, also where the host still mounts version 1.
boot='mount --make-rprivate / && { umount -lR /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; } && exec "$@"'
timeout -k 20 900 unshare --mount sh -c "$boot" nspawn \
  systemd-nspawn --quiet --directory "$work/tree" --boot --register=no --keep-unit --console=pipe \
  --private-network --bind "$work/share:/share" >"$work/console.txt" 2>&1 </dev/null || true
cp "$work/share/said.txt" "build/deb-test/$suite.txt" 2>/dev/null || { tail -30 "$work/console.txt" >&2; exit 1; }
code=$(cat "$work/share/code" 2>/dev/null || echo "none: the machine did not end")
if [ "$code" != 0 ]; then
  tail -40 "build/deb-test/$suite.txt" >&2
  echo "deb-test $suite: failed ($code)" >&2
  exit 1
fi
# The operator's guide is a transcript: what it shows is what was said, but for numbers and dates.
plain() { sed -E 's/[0-9a-f]{16}/EUI/g; s/[0-9]{4}-[0-9]{2}-[0-9]{2}/DATE/g'; }
shown=$(sed -n '/<!-- first-run: begin -->/,/<!-- first-run: end -->/p' docs/operating.md | grep -vE '^(<!--|```|# )')
if unsaid=$(plain <<<"$shown" | grep -vxFf <(plain <"build/deb-test/$suite.txt")); then
  echo "deb-test $suite: docs/operating.md shows what nobody said: $unsaid" >&2
  exit 1
fi
grep '^ok: ' "build/deb-test/$suite.txt" | sed "s/^/$suite /"

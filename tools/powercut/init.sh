#!/bin/busybox sh
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# The only program of the machine whose power is cut: finds its disk and runs guest.py there. What that is to do stands
# on the kernel's command line behind powercut=, words joined by commas.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/m/$module"; done </m/list
for _ in $($b seq 200); do
  [ -b /dev/vda ] && break
  $b usleep 20000
done
$b mount -t ext4 -o noatime /dev/vda /newroot || exec $b poweroff -f
$b mount -t devtmpfs dev /newroot/dev
$b cp -r /code /newroot/dev/ # in memory: nothing of the test is on the disk, and the code is that of the checkout
words=$($b tr ' ' '\n' </proc/cmdline | $b sed -n 's/^powercut=//p' | $b tr ',' ' ')
# shellcheck disable=SC2086 # words
PYTHONPATH=/dev/code $b chroot /newroot /usr/lib/lykta/bin/python3 -B -m tests.powercut.guest $words 2>/dev/ttyS0
$b sync
$b poweroff -f

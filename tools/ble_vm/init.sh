#!/bin/busybox sh
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# The first program of the machine: finds its disk and hands over to systemd there.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/m/$module"; done </m/list
for _ in $($b seq 200); do
  [ -b /dev/vda ] && break
  $b usleep 20000
done
$b mount -t ext4 -o noatime /dev/vda /newroot || exec $b sh
$b umount /proc
exec $b switch_root /newroot /lib/systemd/systemd

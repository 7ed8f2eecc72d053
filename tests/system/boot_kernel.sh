#!/bin/sh
# The first process of a kernel of a test's own: run by tests/system/other_kernel.py, which hands
# over FOLDER, the one place that can be written, and SCRIPT, what to do; both are in the
# environment, as the kernel's arguments become. All else is the machine's own, read-only.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs run /run
mount -t tmpfs scratch "$FOLDER"
ip link set lo up
TMPDIR=$FOLDER sh "$SCRIPT" </dev/null 2>&1
echo "exit status $?"
echo o >/proc/sysrq-trigger
sleep 60

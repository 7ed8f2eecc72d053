#!/bin/sh
# Boots systemd in a root of its own: run by tests/system/booted.py, in namespaces made for it.
# ROOT is an empty folder, STATE becomes /var/lib/scmd, SCMD is the command; what follows is
# shown inside where it is outside. Programs are this machine's, all of it read-only.
set -eu
root=$1 state=$2 scmd=$3 unit=$4
shift 4

show() {
    mkdir -p "./$1"
    mount --bind "$1" "./$1"
    mount -o remount,bind,ro "./$1"
}

mount --make-rprivate /
mount -t tmpfs -o mode=755 root "$root"
cd "$root"
mkdir -p dev etc/systemd/system old proc root run srv sys tmp usr var/lib/scmd var/log
chmod 1777 tmp
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
show /usr
for path in "$@"; do show "$path"; done
mount -t tmpfs -o mode=755 bin usr/local/bin
ln -s "$scmd" usr/local/bin/scmd
mount --bind "$state" var/lib/scmd

cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache etc/
ln -s ../usr/lib/os-release etc/os-release
echo 0123456789abcdef0123456789abcdef >etc/machine-id
cp "$unit" etc/systemd/system/scmd.service

# The machine's own settings and devices are out of its reach.
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sys sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9; do
    name=${node%%:*} numbers=${node#*:}
    mknod -m 666 "dev/$name" c "${numbers%:*}" "${numbers#*:}"
done
ln -s /proc/self/fd dev/fd
mkdir dev/shm
mount -t tmpfs -o mode=755 run run

# As after an installation on a machine: enabled, and nothing else wanted but the basic things.
cat >etc/systemd/system/test.target <<END
[Unit]
Requires=basic.target
After=basic.target multi-user.target
Wants=multi-user.target
AllowIsolate=yes
END
ln -s test.target etc/systemd/system/default.target
mkdir etc/systemd/system/multi-user.target.wants
ln -s ../scmd.service etc/systemd/system/multi-user.target.wants/scmd.service
for name in /usr/lib/systemd/system/*.target.wants/* /lib/systemd/system/sockets.target.wants/*; do
    name=${name##*/}
    case $name in
    *.target | *.slice) ;;
    *) ln -sf /dev/null "etc/systemd/system/$name" ;;
    esac
done

pivot_root . old
umount -l /old
rmdir /old
exec env -i container=test PATH=/usr/sbin:/usr/bin SYSTEMD_LOG_TARGET=null \
    /usr/lib/systemd/systemd --show-status=no </dev/null

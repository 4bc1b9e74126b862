#!/bin/busybox sh
# The first process of a machine: mounts, loads the drivers of what is there, and hands over to the agent.
/bin/busybox --install -s /bin
ln -s /bin/busybox /sbin/modprobe # the kernel's own name for it
export PATH=/usr/bin:/bin HOME=/ PYTHONUTF8=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /sys/fs/cgroup
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t debugfs debugfs /sys/kernel/debug
echo 1 >/proc/sys/kernel/printk
# A driver brings devices that want drivers of their own: a controller, then its disks.
before=
for _ in 1 2 3 4; do
	found=$(find /sys/devices -name modalias -exec cat {} + | sort -u)
	[ "$found" = "$before" ] && break
	echo "$found" | xargs modprobe -abq
	before=$found
	usleep 300000
done
[ -e /lab/modules ] && modprobe -aq $(cat /lab/modules)
[ -e /lab/start ] && . /lab/start
echo 'lab: the agent starts'
python3 /lab/agent.py /dev/ttyS1
echo 'lab: the agent ended'
poweroff -f

# Makes the disk of a bare Debian with systemd and sshd. Words: file, mirror of the archive, GiB.
set -eu
file=$1 mirror=$2 size=$3
tree=$file.tree
trap 'rm -rf "$tree"' EXIT
packages=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,iproute2,ca-certificates,procps,kmod,udev,curl
debootstrap --variant=minbase --include=$packages trixie "$tree" "$mirror"
# nspawn mounts the controllers of control groups read-only; Docker's containers need groups of their own.
cat >"$tree/etc/systemd/system/controllers.service" <<'UNIT'
[Unit]
DefaultDependencies=no
Before=sysinit.target
ConditionPathIsDirectory=/sys/fs/cgroup/memory
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for one in /sys/fs/cgroup/*/; do mount -o remount,rw,bind "$one" || true; done'
[Install]
WantedBy=sysinit.target
UNIT
mkdir -p "$tree/etc/systemd/system/sysinit.target.wants"
ln -s ../controllers.service "$tree/etc/systemd/system/sysinit.target.wants/"
rm -f "$tree/etc/hostname" "$tree"/var/cache/apt/archives/*.deb
mkfs.ext4 -q -F -d "$tree" "$file" "${size}G"

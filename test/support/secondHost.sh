# The init of a second host: PID 1 of namespaces of its own, with a root of its own. Words: base, folder, name.
set -eu
base=$1 folder=$2 name=$3
mount --make-rprivate /
mkdir -p "$folder/upper" "$folder/work" "$folder/root" "$folder/docker"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
cd "$folder/root"
mkdir -p proc sys dev run var/lib/docker srv .old
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --bind /dev dev
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
# An engine keeps its layers in overlays, which cannot lie on an overlay.
mount --bind "$folder/docker" var/lib/docker
cat /etc/resolv.conf > etc/resolv.conf
# Docker's init script mounts every controller that is not there, and so changes the one kernel that both hosts share: from
# then on the first host's engine finds no memory of any container. It leaves them alone where fstab speaks of them.
echo "cgroup /sys/fs/cgroup none noauto 0 0" > etc/fstab
pivot_root . .old
umount -l /.old
rmdir /.old
hostname "$name"
printf "127.0.0.1 localhost %s\n" "$name" > /etc/hosts
ln -sfn /run /var/run 2>/dev/null || true
mkdir -p /run/sshd /run/lock
ssh-keygen -q -A
/usr/sbin/sshd -f /etc/ssh/sshd_config
echo ready
# The shell takes in every process that loses its parent.
while :; do sleep 3600 & wait $!; done

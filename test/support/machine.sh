# One boot of a machine with systemd; ends with 133 where it wants another one. Words: folder, name, network namespace.
set -eu
folder=$1 name=$2 namespace=$3
# In a mount namespace of its own, for any other one would keep the disk mounted after a power cut.
mount --make-rprivate /
mkdir -p "$folder/root"
mount -o loop "$folder/disk" "$folder/root"
export SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network SYSTEMD_NSPAWN_LOCK=0
how=() boot=()
# A kernel whose memory controller is in the first version of control groups has none for the second one, and Docker drops
# the limits of containers there.
if [ -d /sys/fs/cgroup/memory ]; then
  export UNIFIED_CGROUP_HIERARCHY=0
  how=(--keep-unit)
  boot=(SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 systemd.unified_cgroup_hierarchy=0)
  for controller in /sys/fs/cgroup/*/; do
    group=$controller/gpubox-$name
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    mkdir -p "$group"
    for file in cpuset.cpus cpuset.mems; do
      [ ! -e "$controller/$file" ] || cat "$controller/$file" >"$group/$file"
    done
    echo $$ >"$group/cgroup.procs"
  done
fi
exec systemd-nspawn --quiet --boot --register=no "${how[@]}" --directory="$folder/root" --machine="$name" \
  --network-namespace-path="/run/netns/$namespace" --capability=all --resolv-conf=copy-host --timezone=off \
  --link-journal=no --console=pipe "${boot[@]}"

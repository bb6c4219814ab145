# What a driver of NVIDIA's shows of two GPUs, and its toolkit, on a machine that has neither: their nodes are those of /dev/null. The
# stand-in of the runtime hook does at prestart what nvidia-container-cli does.
set -eu
mkdir -p /opt/pci/0000:01:00.0 /opt/proc/nvidia
echo 0x10de >/opt/pci/0000:01:00.0/vendor
echo 0x030200 >/opt/pci/0000:01:00.0/class
echo 'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build' >/opt/proc/nvidia/version
cat >/usr/local/bin/nvidia-smi <<'END'
#!/bin/sh
case "$*" in
  -L) for i in 0 1; do echo "GPU $i: NVIDIA L4 (UUID: GPU-00000000-0000-0000-0000-00000000000$i)"; done ;;
  *query-gpu=index,uuid,memory.total*) for i in 0 1; do echo "$i, GPU-00000000-0000-0000-0000-00000000000$i, 24576"; done ;;
esac
END
cat >/usr/local/bin/nvidia-ctk <<'END'
#!/bin/sh
# nvidia-ctk cdi generate --output=FILE
cat >"${3#--output=}" <<'SPEC'
cdiVersion: 0.6.0
kind: nvidia.com/gpu
devices:
  - name: "0"
    containerEdits: { deviceNodes: [{ path: /dev/nvidia0 }], env: [GIVEN_BY=cdi] }
  - name: "1"
    containerEdits: { deviceNodes: [{ path: /dev/nvidia1 }], env: [GIVEN_BY=cdi] }
SPEC
END
cat >/usr/local/bin/nvidia-container-runtime-hook <<'END'
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
state=$(cat)
bundle=$(echo "$state" | sed -n 's/.*"bundle":"\([^"]*\)".*/\1/p')
pid=$(echo "$state" | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')
root=$(sed -n 's/.*"root":{"path":"\([^"]*\)".*/\1/p' "$bundle/config.json")
ids=$(sed -n 's/.*"NVIDIA_VISIBLE_DEVICES=\([^"]*\)".*/\1/p' "$bundle/config.json")
nsenter -t "$pid" -m sh -c 'for id in $(echo "$2" | tr , " "); do mknod -m 666 "$1/dev/nvidia$id" c 1 3; done' _ "$root" "$ids"
END
chmod 755 /usr/local/bin/nvidia-*
cat >/etc/systemd/system/driver.service <<'END'
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mount --bind /opt/pci /sys/bus/pci/devices
ExecStart=/bin/mount --bind /opt/proc /proc/driver
ExecStart=/bin/sh -c 'for i in 0 1; do mknod -m 666 /dev/nvidia$i c 1 3; done'
[Install]
WantedBy=sysinit.target
END
systemctl daemon-reload
systemctl enable --now driver

#!/bin/sh
# Prints what `gpubox host status` shows, and changes nothing. Words: the stack, its data directory, the engine's address.
#
# Lines `key=value` with values in base64. One call asks everything, so that a look is one round trip. Each question has a time
# limit: a lost driver or an engine that hangs must not hide the rest.
#
# GPUBOX_ROOT: a folder in place of the root, for tests.
set -u
stack=$1 data=$2
export DOCKER_HOST="$3" LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
root=${GPUBOX_ROOT:-}

# In one write, because some of them are printed at the same time.
say() { printf '%s=%s\n' "$1" "$(printf %s "$2" | base64 | tr -d '\n')"; }
of() { sed -n "s/^$1 //p" "$2" 2>/dev/null; }
first() { for file in "$@"; do [ -r "$file" ] && cat "$file" 2>/dev/null && return; done; }

say now "$(date +%s)"
say boot "$(of btime "$root/proc/stat")"
say name "$(uname -n)"
say system "$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\).*/\1/p' "$root/etc/os-release" 2>/dev/null)"
say cores "$(nproc)"
say load "$(cut -d ' ' -f 1-3 "$root/proc/loadavg")"
say memory "$(grep -E '^(MemTotal|MemAvailable|SwapTotal|SwapFree):' "$root/proc/meminfo")"
# Only where this user may read the kernel's log.
say kernel "$(date +%s; cat /proc/uptime; dmesg 2>/dev/null | grep -F oom-kill: | tail -n 50)"

# The file system of a folder, or of its nearest parent.
disk() {
  folder=$1
  while [ ! -e "$folder" ]; do folder=$(dirname "$folder"); done
  say disk "$1
$(timeout 3 df -Pk "$folder" | tail -n 1)"
}
disk "$data"

if command -v nvidia-smi >/dev/null; then
  fields=index,uuid,name,memory.used,memory.total,utilization.gpu,temperature.gpu,power.draw,power.limit
  if found=$(timeout 6 nvidia-smi --query-gpu=$fields --format=csv,noheader,nounits 2>&1); then
    say nvidia "$found"
    apps=$(timeout 6 nvidia-smi --query-compute-apps=gpu_uuid,pid,used_memory,process_name --format=csv,noheader,nounits)
    say apps "$apps
--
$(echo "$apps" | cut -d , -f 2 | sort -u | while read -r pid; do
      [ -z "$pid" ] || { echo "=$pid" && cat "$root/proc/$pid/cgroup" 2>/dev/null; }
    done)"
  else
    say nvidiaFailed "${found:-no answer within 6 s}"
  fi
fi

# AMD's driver shows everything in files: bytes, percent, thousandths of a degree, millionths of a watt.
amd() {
  for card in "$root"/sys/class/drm/card*/device; do
    # Not a connector, card1-DP-1.
    name=${card%/device}
    case ${name##*/} in *-*) continue ;; esac
    [ "$(first "$card/vendor")" = 0x1002 ] && [ -e "$card/mem_info_vram_total" ] || continue
    name=$(first "$card/product_name" | tr -d ,)
    memory="$(first "$card/mem_info_vram_used"),$(first "$card/mem_info_vram_total")"
    heat="$(first "$card"/hwmon/hwmon*/temp1_input)"
    power="$(first "$card"/hwmon/hwmon*/power1_average "$card"/hwmon/hwmon*/power1_input),$(first "$card"/hwmon/hwmon*/power1_cap)"
    echo "$(first "$card/unique_id"),$name,$memory,$(first "$card/gpu_busy_percent"),$heat,$power"
  done
}
found=$(amd)
[ -z "$found" ] || say amd "$found"

# First what this script reads of a container, then what the program does. `.ID`, because with the name that JSON has for it Docker would
# read JSON, in which one without a health check has no such field.
format='{{.ID}} {{.State.Pid}} {{.State.Status}} {{index .Config.Labels "gpubox.role"}}
{"id":{{json .ID}},"name":{{json .Name}},"role":{{json (index .Config.Labels "gpubox.role")}},"generation":{{json (index .Config.Labels "gpubox.generation")}},"created":{{json .Created}},"state":{{json .State.Status}},"health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}null{{end}},"says":[{{with .State.Health}}{{range $at, $look := .Log}}{{if $at}},{{end}}{{json $look.Output}}{{end}}{{end}}],"exitCode":{{.State.ExitCode}},"oomKilled":{{.State.OOMKilled}},"startedAt":{{json .State.StartedAt}},"finishedAt":{{json .State.FinishedAt}},"restarts":{{.RestartCount}},"error":{{json .State.Error}},"limitBytes":{{.HostConfig.Memory}}}'

# Bytes in memory, those that are only files nobody looked at lately, and processes that the kernel killed, of a container as it runs.
usage() {
  group=$(sed -n 's/^[0-9]*:memory://p' "$root/proc/$1/cgroup" 2>/dev/null)
  if [ -n "$group" ]; then
    group=$root/sys/fs/cgroup/memory$group
    echo "$(first "$group/memory.usage_in_bytes") $(of total_inactive_file "$group/memory.stat") $(of oom_kill "$group/memory.oom_control")"
  else
    group=$root/sys/fs/cgroup$(sed -n 's/^0:://p' "$root/proc/$1/cgroup" 2>/dev/null)
    echo "$(first "$group/memory.current") $(of inactive_file "$group/memory.stat") $(of oom_kill "$group/memory.events")"
  fi
}

inside() { timeout 6 docker exec "$1" timeout 4 bash -c "$2" </dev/null 2>/dev/null; }

if found=$(timeout 8 docker info --format '{{.ServerVersion}} {{.DockerRootDir}}' 2>&1) && ids=$(timeout 8 docker ps -aq --no-trunc --filter "label=gpubox.stack=$stack" 2>&1); then
  say docker "${found%% *}"
  disk "${found#* }"
  seen=$([ -z "$ids" ] || timeout 8 docker inspect --type container --format "$format" $ids 2>/dev/null | grep .)
  [ -z "$ids" ] || [ -n "$seen" ] || say dockerFailed "it does not say what its containers are like"
  say containers "$(printf '%s\n' "$seen" | grep '^{')"
  running=$(printf '%s\n' "$seen" | grep '^[0-9a-f]* [0-9]* running ')
  say usage "$(echo "$running" | while read -r id pid _; do [ -z "$id" ] || echo "$id $(usage "$pid")"; done)"
  while read -r id _ _ role; do
    case $role in
      valve-*)
        # Only the columns that matter: name, sessions, status.
        say valve "$role
$(inside "$id" 'source /etc/gpubox/control.sh; ask "@1 show stat model 4 -1"' | cut -d , -f 1,2,5,18)" &
        ;;
      edge)
        say edge "$(inside "$id" 'cat /var/lib/gpubox/serving.json; echo; bash /etc/gpubox/switch.sh --status')" &
        ;;
    esac
  done <<END
$running
END
  wait
else
  say dockerFailed "$(printf '%s\n' "${ids:-$found}" | grep . | tail -n 1)"
fi
say end whole

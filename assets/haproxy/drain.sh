# Lets a backend's running requests finish and gives it no new ones: docker exec VALVE bash /etc/gpubox/drain.sh SECONDS
# Waits at most so long and says how many are left. `--undo` gives it requests again. A reload does that too.
set -euo pipefail
source /etc/gpubox/control.sh
lock

SERVER=model/backend

if [[ $1 == --undo ]]; then
  [[ -z $(ask "@1 set server $SERVER state ready" | tr -d '\n') ]]
  exit
fi

running() {
  ask "@1 show stat model 4 -1" | awk -F, '$2 == "backend" { print $5 }'
}

[[ -z $(ask "@1 set server $SERVER state drain" | tr -d '\n') ]]
deadline=$((SECONDS + $1))
until [[ $(running) == 0 ]]; do
  if ((SECONDS >= deadline)); then
    echo "$(running) requests did not end within $1 s"
    exit
  fi
  sleep 0.5
done
echo "drained"

# The canary of this valve: docker exec VALVE bash /etc/gpubox/canary.sh
#   --share PERCENT                         gives the server that stands in that share of the questions
#   --judge SECONDS POINTS FACTOR REQUESTS  prints a word and why: wait, promote, refuse (canary.awk)
#   --say promote|revert                    a person decides; exit 1 where there is no canary
#   --end                                   no share any more
set -euo pipefail
source /etc/gpubox/control.sh

tell() {
  local said
  said=$(ask "@1 canary $1" | head -n 1)
  [[ $said == done ]] || fail "there is no canary at this valve"
}

case $1 in
  --share) tell "share $2" ;;
  --say) tell "say $2" ;;
  --end) tell end ;;
  --judge)
    ask "@1 canary look" | awk -v seconds="$2" -v points="$3" -v factor="$4" -v least="$5" -f /etc/gpubox/canary.awk
    ;;
esac

# Judges a canary by what canary.lua has counted, and prints one line: wait, promote or refuse, and why.
# Takes: seconds that it lasts; points, by which more requests may fail; factor, by which the first byte may come later (0: not
# judged); least, requests by which it can be judged.
#
# First line: seconds since it began, what a person said (or -), the state of the new server. Then a line of each server, `backend`
# and `next`: requests, failed, answered, streamed answers, median of the milliseconds to their first byte, and both of the others.

# People notice no less.
BEGIN { FLOOR_MS = 100 }

NR == 1 { elapsed = $1; said = $2; state = $3 }
NR > 1 {
  asked[$1] = $2; failed[$1] = $3; answered[$1] = $4
  count[$1, "streamed"] = $5; ms[$1, "streamed"] = $6
  count[$1, "whole"] = $7; ms[$1, "whole"] = $8
}

function rate(name) { return asked[name] > 0 ? 100 * failed[name] / asked[name] : 0 }

# Requests that do not hang: a failure is judged by its own margin.
function ended(name) { return answered[name] + failed[name] }

# Whether enough answers of a kind came from both to compare their times.
function known(kind) { return count["next", kind] >= least && count["backend", kind] >= least }

function later(kind) {
  return factor > 0 && known(kind) && ms["next", kind] > factor * ms["backend", kind] && \
    ms["next", kind] - ms["backend", kind] > FLOOR_MS
}

function took(kind, what) {
  return known(kind) ? sprintf("; %s after %d ms (%d ms)", what, ms["next", kind], ms["backend", kind]) : ""
}

function figures() {
  return sprintf("%d of its %d requests failed (%d of %d on the one before)%s%s", failed["next"], asked["next"], \
    failed["backend"], asked["backend"], took("streamed", "first token"), took("whole", "whole answers"))
}

function tell(word, why) { print word " " why; done = 1 }

END {
  if (elapsed == "off")
    tell("refuse", "its valve began anew, or nobody watched it for a minute, and so its share has ended")
  else if (said == "promote") tell("promote", "by hand: " figures())
  else if (said == "revert") tell("refuse", "by hand: " figures())
  else if (state !~ /^UP/) tell("refuse", "the new server does not answer its health check any more: " figures())
  if (done) exit

  over = elapsed >= seconds
  enough = asked["next"] >= least
  if ((enough || over) && rate("next") > rate("backend") + points)
    tell("refuse", "more of its requests fail: " figures())
  else if (later("streamed") || later("whole")) tell("refuse", "it answers later: " figures())
  else if (!over) tell("wait", figures())
  else if (enough && asked["backend"] > 0 && 2 * ended("next") / asked["next"] < ended("backend") / asked["backend"])
    tell("refuse", sprintf("it leaves requests without an answer: it began %d of %d, the one before %d of %d", \
      ended("next"), asked["next"], ended("backend"), asked["backend"]))
  else if (!enough)
    tell("promote", sprintf("its proof counts, because only %d requests came to it and %d are needed to compare: %s", \
      asked["next"], least, figures()))
  else tell("promote", figures())
}

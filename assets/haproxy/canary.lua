-- The canary of a valve: while the new server of a model stands beside the one before, as `next` beside `backend`, it gets a share
-- of the questions, and both are measured. canary.sh talks to it through the runtime socket:
--   canary share PERCENT   begins, and counts from nothing
--   canary look            prints what canary.awk judges
--   canary say WORD        keeps what a person decided
--   canary end             gives no share any more
-- A share ends by itself when nobody looks at it any more: whoever watched it was killed.
--   http-request lua.canary     for each question: sets txn.begun, and txn.canary for those of the share
--   http-response lua.answered  once the first byte of an answer's body is there

local LEASE_SECONDS = 60
-- Times that are kept of each kind of answer, the latest ones.
local KEPT = 1000

local run

local function milliseconds()
  local now = core.now()
  return now.sec * 1000 + now.usec // 1000
end

-- The proxy in which a server's requests are counted.
local PROXIES = { backend = "model", next = "canary" }

-- What HAProxy counts of failed requests: tries that were repeated elsewhere, error answers, no connection, broken answers. A
-- broken one counts as both of the last two where its body had begun.
local function failures(name)
  local stats = core.backends[PROXIES[name]].servers[name]:get_stats()
  return stats.wredis + stats.hrsp_5xx + stats.econ + math.max(stats.eresp, stats.srv_abrt)
end

local function current()
  if run and milliseconds() >= run.ends then
    run = nil
  end
  return run
end

core.register_action("canary", { "http-req" }, function(txn)
  if not current() then
    return
  end
  txn:set_var("txn.begun", milliseconds())
  run.due = run.due + run.percent
  local aim = "backend"
  if run.due >= 100 then
    run.due = run.due - 100
    aim = "next"
    txn:set_var("txn.canary", aim)
  end
  run.of[aim].asked = run.of[aim].asked + 1
end)

core.register_action("answered", { "http-res" }, function(txn)
  local aim = txn:get_var("txn.canary") or "backend"
  -- What `next` was asked in vain says nothing of the time that `backend` takes, and a held request did not wait for its answer.
  if not current() or txn.f:srv_name() ~= aim then
    return
  end
  local counts = run.of[aim]
  counts.answered = counts.answered + 1
  if txn.f:status() ~= 200 then
    return
  end
  local streamed = string.find(txn.f:res_fhdr("content-type") or "", "text/event-stream", 1, true) == 1
  local times = streamed and counts.streams or counts.wholes
  times.count = times.count + 1
  times[(times.count - 1) % KEPT + 1] = milliseconds() - txn:get_var("txn.begun")
end)

local function begun(percent)
  local now = milliseconds()
  local of = {}
  for name in pairs(PROXIES) do
    of[name] = { asked = 0, answered = 0, before = failures(name), streams = { count = 0 }, wholes = { count = 0 } }
  end
  return { percent = percent, due = 0, begun = now, ends = now + LEASE_SECONDS * 1000, of = of, said = "-" }
end

local function median(times)
  local sorted = table.move(times, 1, #times, 1, {})
  table.sort(sorted)
  return sorted[(#sorted + 1) // 2] or 0
end

local function look()
  local state = core.backends.model.servers.next:get_stats().status
  local lines = { string.format("%d %s %s", (milliseconds() - run.begun) // 1000, run.said, state) }
  for _, name in ipairs({ "backend", "next" }) do
    local counts = run.of[name]
    local failed = math.min(failures(name) - counts.before, counts.asked)
    table.insert(lines, string.format("%s %d %d %d %d %d %d %d", name, counts.asked, failed, counts.answered,
      counts.streams.count, median(counts.streams), counts.wholes.count, median(counts.wholes)))
  end
  return table.concat(lines, "\n")
end

core.register_cli({ "canary" }, "canary share|look|say|end : the share of a new server", function(applet, _, verb, word)
  local answer = "done"
  if verb == "share" then
    run = begun(tonumber(word))
  elseif verb == "end" then
    run = nil
  elseif not current() then
    answer = "off"
  elseif verb == "say" then
    run.said = word
  else
    run.ends = milliseconds() + LEASE_SECONDS * 1000
    answer = look()
  end
  applet:send(answer .. "\n")
end)

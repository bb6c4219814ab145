-- Holds a request until a server of its backend is up, for a bounded time. Used by the edge and by the valves:
--   http-request lua.hold <backend> <seconds>
-- sets txn.held to "served" when there is one. In every other case the request must be answered right there: after the
-- time is over, and after its client is gone, for then HAProxy breaks the wait off (with an alert in its log about an
-- expired timeout) and would send the request on, around in circles.
--
-- A request comes here through the backup server `waiting` of <backend>, so it can come again: its server may fail between
-- this check and the connection. The header keeps the time of its first arrival, so that the bound holds over all passes.

local POLL_MS = 100
local HEADER = "x-gpubox-held"

-- Looking at a server fills a table of its hundred counters. All held requests of a process share one look.
local looks = {}

local function has_server(backend, now)
  local look = looks[backend]
  if look and now - look.at < POLL_MS / 1000 then
    return look.up
  end
  local up = false
  for name, server in pairs(core.backends[backend].servers) do
    if name ~= "waiting" and string.sub(server:get_stats().status, 1, 2) == "UP" then
      up = true
      break
    end
  end
  looks[backend] = { at = now, up = up }
  return up
end

local function seconds_now()
  local now = core.now()
  return now.sec + now.usec / 1000000
end

core.register_action("hold", { "http-req" }, function(txn, backend, limit)
  local now = seconds_now()
  local since = tonumber(txn.sf:req_fhdr(HEADER))
  if not since then
    since = now
    txn.http:req_set_header(HEADER, string.format("%.3f", since))
  end
  local deadline = since + tonumber(limit)
  while now < deadline do
    -- Sleeps first: a look older than this request would send it straight back to the server that just refused it.
    core.msleep(POLL_MS)
    now = seconds_now()
    if has_server(backend, now) then
      txn:set_var("txn.held", "served")
      return
    end
  end
end, 2)

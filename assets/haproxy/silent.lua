-- Takes a gateway out that has left its check without an answer for SILENT_SECONDS while another one answers its own in time. The
-- check itself gives up much later, because a gateway that computes is late with it, and one that is alone must not go for that.
--
-- It asks nothing: HAProxy says which checks are open. The gateway is back with the first check that it answers. What it has
-- meanwhile stays with it, and a stream that only seemed to be dead goes on.

local BACKEND = "gateways"
-- LiteLLM's event loop stands still for up to three seconds under load.
local SILENT_SECONDS = 4
-- A check that is open for less is no sign of anything.
local IN_TIME_SECONDS = 2
-- Between two checks of a server lies at least half a second, so that each is told from the next.
local POLL_MS = 250
-- Looking at a server fills a table of its hundred counters: all of them are looked at only now and then.
local POLLS = 8

-- By server, since when its check is open.
local open = {}

local function seconds_now()
  local now = core.now()
  return now.sec + now.usec / 1000000
end

local function begins(text, with)
  return string.sub(text or "", 1, #with) == with
end

local function serving()
  local names = {}
  for name, server in pairs(core.backends[BACKEND].servers) do
    if name ~= "waiting" and begins(server:get_stats().status, "UP") then
      names[#names + 1] = name
    end
  end
  return names
end

local function judge(names)
  local now = seconds_now()
  local silent, answers = {}, false
  for _, name in ipairs(names) do
    local server = core.backends[BACKEND].servers[name]
    local stats = server:get_stats()
    local up = begins(stats.status, "UP")
    -- A star stands before the result of the last check while the next one is open.
    open[name] = up and begins(stats.check_status, "*") and (open[name] or now) or nil
    local seconds = open[name] and now - open[name] or 0
    if up and seconds >= SILENT_SECONDS then
      silent[#silent + 1] = server
    elseif up and seconds < IN_TIME_SECONDS then
      answers = true
    end
  end
  for _, server in ipairs(answers and silent or {}) do
    server:check_force_down()
  end
end

core.register_task(function()
  while true do
    local names = serving()
    if #names < 2 then
      open = {}
      core.msleep(POLLS * POLL_MS)
    else
      for _ = 1, POLLS do
        judge(names)
        core.msleep(POLL_MS)
      end
    end
  end
end)

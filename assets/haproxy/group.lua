-- The scheduler of a group: models on demand that share a budget of memory. Each model's requests come to a frontend of its own:
--   http-request lua.seat <slug>
-- lets a request go on once its model is loaded (txn.seated), or says why not (txn.problem, txn.retry).
--
-- What runs is the seats' business (assets/backend/seat.sh): the scheduler leaves them orders, and believes only what they say of
-- themselves (seats.lua). So it may be reloaded, or end, and no engine ends with it.
--
-- One thread runs all of this, so nothing happens between two lines without a sleep.

local group, seats, record, memory = gpubox_group, gpubox_seats, gpubox_record, gpubox_memory
local seconds, tell, there = seats.seconds, seats.tell, seats.there
local TICK_MS = 100
-- A request whose client is gone just stops to be seen.
local GONE_SECONDS = 2
-- A seat whose engine still answers somebody is not asked again at once.
local SPARED_SECONDS = 2
-- A pinned model that could not be loaded is tried again, each time after twice as long, up to 16 minutes: others have to make
-- room for each try.
local PINNED_SECONDS, PINNED_DOUBLES = 60, 4

local members = {}
-- The members, and those that were and may still be loaded.
local order = {}

for _, m in ipairs(group.members) do
  seats.add(m)
  members[m.slug] = m
  table.insert(order, m)
end

local function running(m)
  return m.gone and 0 or core.backends[m.slug]:get_stats().scur
end

-- When the first of those came who still wait for it; nil: nobody does. `after`: only those who came later.
local function first_waiter(m, now, after)
  local first
  for who, waiter in pairs(m.waiting) do
    if now - waiter.seen > GONE_SECONDS then
      m.waiting[who] = nil
    elseif waiter.since > after and (not first or waiter.since < first) then
      first = waiter.since
    end
  end
  return first
end

-- Those who waited for a load go in first, whoever wants the room since.
local function open(m, since, now)
  local stays = m.state == "ready" and m.told ~= "stop" and m.told ~= "sleep"
  return stays and there(m, now) and (not m.closed or since <= m.ready_at)
end

-- True while somebody uses it, or is let in at his next look.
local function used(m, now)
  if running(m) > 0 or now - m.spared_at <= SPARED_SECONDS then return true end
  for _, waiter in pairs(m.waiting) do
    if now - waiter.seen <= GONE_SECONDS and waiter.since <= m.ready_at then return true end
  end
  return false
end

local function make_room(m, now)
  if memory.missing(order, m, {}, now) == 0 then
    tell(m, "start", now)
    return
  end
  m.promised = true
  for other, becomes in pairs(memory.victims(order, m, used, now) or {}) do
    if other.state == "ready" then other.closed = m.name end
    if not used(other, now) then tell(other, memory.ORDERS[becomes], now) end
  end
end

-- When somebody began to want it; nil: nobody does, or it has to end first.
local function wanted_since(m, now)
  local can_start = m.state == "stopped" or m.state == "failed" or (m.state == "asleep" and m.told ~= "stop")
  if not can_start or m.gone or not there(m, now) then return nil end
  local since = first_waiter(m, now, m.failed_at)
  if m.foreign and now - m.foreign.seen < GONE_SECONDS then since = math.min(since or now, m.foreign.since) end
  if m.pinned and now - m.failed_at > PINNED_SECONDS * 2 ^ math.min(math.max(m.failures - 1, 0), PINNED_DOUBLES) then
    -- It waits like a request: who comes later goes later.
    m.pinned_since = m.pinned_since or now
    since = math.min(since or now, m.pinned_since)
  end
  return since
end

local function hand_over(now)
  local lines = {}
  for _, m in ipairs(order) do
    local since = first_waiter(m, now, m.failed_at)
    if since then table.insert(lines, string.format("%s %.3f %.3f", m.slug, since, now)) end
  end
  record.hand_over(lines)
end

-- Of a member that was removed or renamed nobody can ask anything any more. What it has counts until it is gone.
local function clear_up(now)
  for index = #order, 1, -1 do
    local m = order[index]
    local rests = m.state == "ready" or m.state == "asleep"
    if m.gone and memory.holds(m, now) == "gone" and now - m.gone > seats.AWAY_SECONDS then
      table.remove(order, index)
    elseif m.gone and rests and there(m, now) and not used(m, now) then
      tell(m, "stop", now)
    end
  end
end

-- One that nobody asks keeps little, or nothing.
local function put_away(m, now)
  tell(m, memory.ORDERS[memory.lighter(m)], now)
end

-- A budget that became smaller holds for what is loaded already: first for what is awake, then for what sleeps.
local function shrink(now)
  for device, budget in pairs(group.budget) do
    local sum, idle, asleep = 0, {}, {}
    for _, m in ipairs(order) do
      local held = memory.becomes(m, now)
      sum = sum + memory.size(m, device, held)
      local spare = memory.size(m, device, held) > 0 and not m.pinned and not m.told and not used(m, now)
      if spare and m.state == "ready" then table.insert(idle, m) end
      if spare and m.state == "asleep" then table.insert(asleep, m) end
    end
    table.sort(idle, memory.by_use)
    table.sort(asleep, memory.by_use)
    for _, m in ipairs(idle) do
      if sum <= budget then break end
      put_away(m, now)
      sum = sum - memory.size(m, device, "whole") + memory.size(m, device, memory.lighter(m))
    end
    for _, m in ipairs(asleep) do
      if sum <= budget then break end
      sum = sum - memory.size(m, device, memory.holds(m, now))
      tell(m, "stop", now)
    end
  end
end

local begun = false

local function step()
  local now = seconds()
  for _, m in ipairs(order) do
    seats.look(m, now)
    m.promised, m.closed = nil, nil
    if m.state == "ready" and running(m) > 0 then m.last = now end
  end
  if core.get_info().Stopping ~= 0 and core.get_info().Stopping ~= nil then
    hand_over(now)
    return
  end
  if not begun then
    begun = true
    record.read(members, order, now)
  end
  record.write(order, now)
  record.take_over(members)
  for _, m in ipairs(order) do seats.remind(m, now) end
  clear_up(now)
  shrink(now)
  local wanted = {}
  for _, m in ipairs(order) do
    m.wanted = wanted_since(m, now)
    if m.wanted then table.insert(wanted, m) end
    local idle = m.idle > 0 and now - m.last > m.idle
    if m.state == "ready" and idle and not m.pinned and not used(m, now) then put_away(m, now) end
  end
  table.sort(wanted, function(a, b)
    if a.priority ~= b.priority then return a.priority > b.priority end
    return a.wanted < b.wanted
  end)
  for _, m in ipairs(wanted) do make_room(m, now) end
end

core.register_task(function()
  local said
  while true do
    -- Nobody would load anything any more if one mistake ended this.
    local fine, problem = pcall(step)
    if not fine and problem ~= said then
      said = problem
      core.log(core.err, "The group's scheduler failed and goes on: " .. tostring(problem))
    end
    core.msleep(TICK_MS)
  end
end)

-- What it waits for, how many seconds that may still take, and whether its load goes on without those who asked for it.
local function reason(m, now)
  local took = m.took or m.ready
  if m.state == "loading" then
    return "it is loading", math.max(1, math.ceil(took - (now - m.loading_at))), true
  end
  if m.state == "waking" then
    return "it is waking up", math.max(1, math.ceil((m.woke or took) - (now - m.waking_at))), true
  end
  if m.told == "start" and m.state == "asleep" then return "it is being woken", math.ceil(m.woke or took), true end
  if m.told == "start" then return "its server is being started", took, true end
  local users = {}
  for _, other in ipairs(order) do
    if other.closed == m.name then table.insert(users, other.name) end
  end
  if #users > 0 then return "it waits for the running requests of " .. table.concat(users, " and "), took end
  return "it waits for memory that other models of its group use", took
end

local function refuse(txn, m, why, retry)
  txn:set_var("txn.problem", "Model " .. m.name .. " is not available: " .. why)
  txn:set_var("txn.retry", math.min(math.max(retry, 1), 600))
end

core.register_action("seat", { "http-req" }, function(txn, slug)
  local m = members[slug]
  local since = seconds()
  m.last = since
  -- Its engine may have ended since the last look, and would not answer.
  if m.state == "ready" then seats.look(m, since) end
  if open(m, since, since) then
    txn:set_var("txn.seated", true)
    return
  end
  local me = { since = since, seen = since }
  m.waiting[me] = me
  while true do
    core.msleep(TICK_MS)
    local now = seconds()
    me.seen = now
    if open(m, since, now) then
      m.waiting[me], m.last = nil, now
      txn:set_var("txn.seated", true)
      return
    end
    local gone = not there(m, now) and now - since > 1
    if m.failed_at >= since or gone or now - since >= m.wait then
      m.waiting[me] = nil
      if m.failed_at >= since then
        refuse(txn, m, "its server did not load; the log of " .. m.container .. " says why", 5)
      elseif gone then
        refuse(txn, m, "its container is stopped; `" .. m.start .. "` starts it", 30)
      else
        local why, left, goes_on = reason(m, now)
        local rest = goes_on and "; the load goes on" or ""
        refuse(txn, m, string.format("%s, and about %d s are left%s", why, left, rest), left)
      end
      return
    end
  end
end, 1)

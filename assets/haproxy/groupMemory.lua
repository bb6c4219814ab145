-- The memory of a group's models, for its scheduler (group.lua): what each has, and who makes room for whom.
--
-- A model is `whole`, or `asleep`, which keeps a part where its engine has a sleep, or `gone`.

local group, seats = gpubox_group, gpubox_seats
local there = seats.there

local memory = { ORDERS = { asleep = "sleep", gone = "stop" } }
gpubox_memory = memory

local WHOLE = { loading = true, ready = true, dozing = true, waking = true, stopping = true }

-- What it has of its memory, or was promised because it waits longest.
local function holds(m, now)
  if m.promised then return "whole" end
  if not there(m, now) then return "gone" end
  if m.told == "start" or WHOLE[m.state] then return "whole" end
  -- One whose configuration knows no sleep counts as it was.
  if m.state == "asleep" then return m.asleep and "asleep" or "whole" end
  return "gone"
end

-- What an idle model becomes first.
local function lighter(m)
  return m.asleep and "asleep" or "gone"
end

-- What it will have once it has followed what it was told.
function memory.becomes(m, now)
  local held = holds(m, now)
  if m.promised then return held end
  if held == "gone" or m.state == "stopping" or m.told == "stop" then return "gone" end
  if m.state == "dozing" or m.told == "sleep" then return lighter(m) end
  return held
end

-- MiB of a device.
local function size(m, device, held)
  if held == "gone" then return 0 end
  return (held == "asleep" and m.asleep or m.needs)[device] or 0
end

local function by_use(a, b)
  return a.last < b.last
end

memory.holds, memory.lighter, memory.size, memory.by_use = holds, lighter, size, by_use

-- MiB that a model lacks where others become what `chosen` says, and stay what they are otherwise.
function memory.missing(order, m, chosen, now)
  local most = 0
  for device, budget in pairs(group.budget) do
    local sum = m.needs[device] or 0
    for _, other in ipairs(order) do
      if other ~= m then sum = sum + size(other, device, chosen[other] or holds(other, now)) end
    end
    -- What does not touch a device of the model is not in its way.
    if m.needs[device] and sum > budget then most = math.max(most, sum - budget) end
  end
  return most
end

-- Those that make room for a model, each with what it becomes; nil where all of them together are too little. Idle ones first, the
-- least recently used before others, and they fall asleep where they can. Then those end that sleep. Then those in use have to go,
-- but never a pinned one, and never one that is used by more important requests.
function memory.victims(order, m, used, now)
  local chosen, going, taken = {}, {}, {}
  local idle, asleep, in_use = {}, {}, {}
  for _, other in ipairs(order) do
    local becomes = memory.becomes(other, now)
    if other == m then
      -- It makes no room for itself.
    elseif becomes ~= holds(other, now) then
      -- It goes already, and takes its time: nobody else has to go for what it leaves.
      chosen[other], going[other] = becomes, true
    elseif other.pinned or other.promised then
      -- What it has, or waits for, stays its own.
    elseif other.state == "asleep" and other.told ~= "start" then
      table.insert(asleep, other)
    elseif other.state == "ready" and not used(other, now) then
      table.insert(idle, other)
    elseif other.state == "ready" and other.priority <= m.priority then
      table.insert(in_use, other)
    end
  end
  local function take(some, how)
    table.sort(some, by_use)
    for _, other in ipairs(some) do
      if memory.missing(order, m, chosen, now) == 0 then return end
      if not chosen[other] then table.insert(taken, other) end
      chosen[other] = how(other)
    end
  end
  local function gone()
    return "gone"
  end
  take(idle, lighter)
  for _, other in ipairs(idle) do
    if other.asleep then table.insert(asleep, other) end
  end
  take(asleep, gone)
  take(in_use, lighter)
  take(in_use, gone)
  if memory.missing(order, m, chosen, now) > 0 then return nil end
  -- What turned out not to be in the way stays, or sleeps.
  for _, other in ipairs(taken) do
    for _, less in ipairs({ holds(other, now), lighter(other), chosen[other] }) do
      chosen[other] = less
      if memory.missing(order, m, chosen, now) == 0 then break end
    end
    if chosen[other] == holds(other, now) then chosen[other] = nil end
  end
  for other in pairs(going) do
    -- Its seat has heard it.
    if other.state == "stopping" or other.state == "dozing" then chosen[other] = nil end
  end
  return chosen
end

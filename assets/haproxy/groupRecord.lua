-- What one process of a group's scheduler (group.lua) leaves to the next one: after a reload, or a restart. The directory is the
-- scheduler's own; no engine reaches it.

local group, seats = gpubox_group, gpubox_seats
local RECORD_SECONDS = 1

local record = {}
gpubox_record = record

-- After a reload the old process still has requests that wait. It decides nothing any more, and says for whom it waits.
local DEMAND = group.seats .. "/demand"

function record.hand_over(lines)
  if #lines == 0 then return end
  local file = io.open(DEMAND, "w")
  if not file then return end
  file:write(table.concat(lines, "\n") .. "\n")
  file:close()
end

function record.take_over(members)
  local file = io.open(DEMAND, "r")
  if not file then return end
  for line in file:lines() do
    local slug, since, seen = line:match("^(%S+) (%S+) (%S+)$")
    local m = slug and members[slug]
    if m then m.foreign = { since = tonumber(since), seen = tonumber(seen) } end
  end
  file:close()
end

-- Who was used when, and what each takes: one that the next configuration does not name any more may still be loaded.
local MEMBERS = group.seats .. "/members"
local written_at, written = 0, nil

function record.write(order, now)
  if now - written_at < RECORD_SECONDS then return end
  written_at = now
  local lines = {}
  for _, m in ipairs(order) do
    local words = { m.slug, string.format("%.3f", m.last) }
    for device, mib in pairs(m.needs) do table.insert(words, string.format("%s=%d", device, mib)) end
    table.insert(lines, table.concat(words, " "))
  end
  local text = table.concat(lines, "\n") .. "\n"
  if text == written then return end
  local file = io.open(MEMBERS .. ".new", "w")
  if not file then return end
  file:write(text)
  file:close()
  os.rename(MEMBERS .. ".new", MEMBERS)
  written = text
end

-- Adds those that are members no more to `order`, with the second since when as `gone`.
function record.read(members, order, now)
  local file = io.open(MEMBERS, "r")
  if not file then return end
  for line in file:lines() do
    local slug, last, rest = line:match("^(%S+) (%S+) ?(.*)$")
    last = math.min(tonumber(last) or now, now)
    if slug and members[slug] then
      members[slug].last = last
    elseif slug then
      local m = { name = slug, slug = slug, gone = now, last = last, needs = {}, priority = -math.huge, idle = 0 }
      for device, mib in rest:gmatch("(%S+)=(%d+)") do m.needs[device] = tonumber(mib) end
      seats.add(m)
      table.insert(order, m)
    end
  end
  file:close()
end

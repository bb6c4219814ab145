-- The seats of a group's models (assets/backend/seat.sh), as its scheduler (group.lua) sees them.
--
-- An engine that is broken into can put anything into its seat's directory. Nothing there is written, and nothing is read that
-- could block or have no end, because one thread serves the whole group.

local group = gpubox_group
-- A seat that does not follow an order gets it again.
local AGAIN_SECONDS = 5
-- Its bell rings meanwhile: it hears nothing while it reads the order before.
local RING_SECONDS = 1
-- One that followed none for so long is not there.
local AWAY_SECONDS = 20
-- Docker does not know the address of a container that is gone. One whose address is unknown for so long is asked, and given as
-- long.
local LOST_SECONDS = 5
-- To look at a server fills a table of its hundred counters.
local ADDRESS_SECONDS = 1
-- Bytes of a seat's line, and seconds that a load is believed to have taken: an engine writes what it likes.
local LINE_BYTES, LONGEST_SECONDS = 128, 86400

local seats = { AWAY_SECONDS = AWAY_SECONDS }
gpubox_seats = seats

function seats.seconds()
  local now = core.now()
  return now.sec + now.usec / 1000000
end

local function path(m, name)
  return group.seats .. "/" .. m.slug .. "/" .. name
end

-- The first line of a small file. To open a pipe for reading and writing does not block, and a pipe has no end to go to; a
-- device's is at 0. So what is read is a plain file.
local function first_line(m, name)
  local file = io.open(path(m, name), "r+")
  if not file then return nil end
  local size = file:seek("end")
  local text = size and size > 0 and size <= LINE_BYTES and file:seek("set") and file:read(LINE_BYTES)
  file:close()
  return text and text:match("^[^\n]*")
end

local function duration(text)
  local number = tonumber(text or "")
  return number and number <= LONGEST_SECONDS and number or nil
end

-- A model of the group, or one that was.
function seats.add(m)
  m.state, m.waiting, m.last = "away", {}, m.last or seats.seconds()
  m.ready_at, m.failed_at, m.spared_at, m.failures = 0, 0, 0, 0
  m.took = duration(first_line(m, "took"))
end

-- What the seat says of itself. No two of its lines are equal, so one that fails twice is seen twice.
function seats.look(m, now)
  local line = first_line(m, "state") or "away"
  if line == m.line then return end
  local word, number = line:match("^(%a+) ?(%d*)")
  word = word or "away"
  -- A process that begins finds what happened before it.
  local begins = not m.line
  if word == "ready" and (m.state == "stopping" or m.state == "dozing" or m.told == "stop" or m.told == "sleep") then
    m.spared_at, m.last = now, now
  elseif word == "ready" and m.state ~= "ready" then
    m.ready_at, m.took, m.failures, m.pinned_since = now, duration(number) or m.took, 0, nil
    if m.state == "waking" then m.woke = now - m.waking_at end
    if not begins then m.last = now end
  elseif word == "loading" and m.state ~= "loading" then
    m.loading_at = now
  elseif word == "waking" and m.state ~= "waking" then
    m.waking_at = now
  elseif word == "failed" and m.told ~= "say" and not begins then
    m.failed_at, m.failures, m.pinned_since = now, m.failures + 1, nil
  end
  m.state, m.told, m.line = word, nil, line
end

-- The pipe is opened and no more: that wakes a seat, and cannot block.
local function ring(m, now)
  m.rung_at = now
  local bell = io.open(path(m, "bell"), "r+")
  if bell then bell:close() end
end

-- Orders lie where no engine can write. A seat follows each once, so each has a mark of its own.
function seats.tell(m, command, now)
  if m.told == command and now - m.told_at < AGAIN_SECONDS then return end
  if m.told ~= command then m.asked_at = now end
  m.told, m.told_at = command, now
  local order = group.seats .. "/.orders/" .. m.slug .. "/order"
  local file = io.open(order .. ".new", "w")
  if not file then return end
  file:write(string.format("%s %.3f\n", command, now))
  file:close()
  os.rename(order .. ".new", order)
  ring(m, now)
end

-- A container that was killed leaves the state of its seat as it was.
local function doubt(m, now)
  if m.state == "away" then
    m.lost_at = nil
  elseif m.gone then
    -- It has no address here that could be lost.
    m.lost_at = m.lost_at or now
  elseif now - (m.address_at or 0) >= ADDRESS_SECONDS then
    m.address_at = now
    local known = core.backends[m.slug].servers.engine:get_stats().status:sub(1, 5) ~= "MAINT"
    m.lost_at = not known and (m.lost_at or now) or nil
  end
  if not m.lost_at or m.told or now - m.lost_at <= LOST_SECONDS then return end
  if m.gone then m.lost_at = now end
  seats.tell(m, "say", now)
end

function seats.remind(m, now)
  doubt(m, now)
  if m.told and now - (m.rung_at or 0) >= RING_SECONDS then ring(m, now) end
end

-- False for a seat whose container is stopped, or killed.
function seats.there(m, now)
  local lost = m.lost_at and not m.gone and now - m.lost_at > LOST_SECONDS
  return m.state ~= "away" and not (m.told and now - m.asked_at > (lost and LOST_SECONDS or AWAY_SECONDS))
end

-- Appends bars to a stream, each once. An entry is: start, <start>, version, <version>, bar, <value>.
local function parts(id)
  local ms, sequence = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(ms), tonumber(sequence), ms
end
local function after(id)
  local _, sequence, ms = parts(id)
  return ms .. '-' .. string.format('%.0f', sequence + 1)
end
local function is_below(left, right)
  local left_ms, left_sequence = parts(left)
  local right_ms, right_sequence = parts(right)
  return left_ms < right_ms or (left_ms == right_ms and left_sequence < right_sequence)
end
local function add(key, len_max, id, start, version, bar)
  local reply
  if len_max == '0' then
    reply = redis.pcall('XADD', key, id, 'start', start, 'version', version, 'bar', bar)
  else
    reply = redis.pcall('XADD', key, 'MAXLEN', '~', len_max, id, 'start', start, 'version', version, 'bar', bar)
  end
  return type(reply) == 'table' and reply.err
end
-- The newest version of each bar among the entries from an id on.
local function held(key, from)
  local newest = {}
  while true do
    local page = redis.call('XRANGE', key, from, '+', 'COUNT', '500')
    for _, entry in ipairs(page) do
      local start, version = entry[2][2], entry[2][4]
      if start and version and (newest[start] or '') < version then newest[start] = version end
    end
    if #page < 500 then return newest end
    from = after(page[#page][1])
  end
end
local function is_forgotten(key, len_max, id)
  if len_max == '0' or redis.call('XLEN', key) < tonumber(len_max) then return false end
  local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', '1')[1]
  return oldest and is_below(id, oldest[1])
end
-- Appends what stands in ARGV from `at` on, four arguments an entry; returns how many went in, or an error's text.
local function append(key, len_max, from, at, count)
  local newest, added = nil, 0
  for index = at, at + 4 * count - 1, 4 do
    local id, start, version, bar = ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3]
    local fault = add(key, len_max, id, start, version, bar)
    local is_in = not fault
    if fault then
      if not string.find(fault, 'equal or smaller', 1, true) then return fault end
      local own = redis.call('XRANGE', key, id, id)[1]
      local is_known = own and own[2][2] == start and own[2][4] >= version
      if not is_known then
        newest = newest or held(key, from)
        is_known = (newest[start] or '') >= version or is_forgotten(key, len_max, id)
      end
      if not is_known then
        local top = redis.call('XREVRANGE', key, '+', '-', 'COUNT', '1')[1]
        -- Emptied by hand: only the server knows the newest id.
        fault = add(key, len_max, top and after(top[1]) or '*', start, version, bar)
        if fault then return fault end
        is_in = true
      end
    end
    if is_in then
      added = added + 1
      if newest then newest[start] = version end
    end
  end
  return added
end

-- The fence: one hash of number, holder and until (milliseconds of the store's clock).
local function fence(key, number, holder)
  local found = redis.pcall('HMGET', key, 'number', 'holder', 'until')
  if found.err then return nil, 'FENCED key ' .. key .. ' is no fence: ' .. found.err end
  local known = tonumber(found[1] or '0')
  if number and (number < known or (number == known and found[2] ~= holder)) then
    return nil, 'FENCED number ' .. number .. ' of ' .. holder .. ' is stale, ' .. tostring(found[2]) .. ' has number ' .. known
  end
  return {number = known, holder = found[2], ends = tonumber(found[3] or '0')}
end
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local function text(number) return string.format('%.0f', number) end
local function hold(key, number, holder, ends)
  redis.call('HSET', key, 'number', text(number), 'holder', holder, 'until', text(ends))
end

-- KEYS: fence, then those of each group. ARGV: number, holder, milliseconds to hold, 1 to renew, seconds to live (0 for
-- ever), length of streams (0 all), then the groups: layout, count, and their entries. Answers for each group how many
-- entries went in, or an error's text.
local number, holder, ttl, seconds, len_max = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[5], ARGV[6]
local found, stale = fence(KEYS[1], number, holder)
if not found then return {err = stale} end
if found.number < number or ARGV[4] == '1' then hold(KEYS[1], number, holder, now() + ttl) end

-- Lua takes some thousand arguments at most.
local function many(name, key, arguments)
  local all = {}
  for from = 1, #arguments, 1000 do
    local reply = redis.pcall(name, key, unpack(arguments, from, math.min(from + 999, #arguments)))
    if type(reply) == 'table' then
      if reply.err then return nil, reply.err end
      for _, value in ipairs(reply) do all[#all + 1] = value end
    end
  end
  return all
end
local function has_type(key, wanted)
  local reply = redis.call('TYPE', key)
  local name = type(reply) == 'table' and reply.ok or reply
  if name == 'none' then return true, true end
  return name == wanted, false
end
local function expire(key)
  if seconds ~= '0' then redis.call('EXPIRE', key, seconds) end
end

local WRONG = 'WRONGTYPE Operation against a key holding the wrong kind of value'
local groups, key, at = {}, 2, 7
-- First nothing but looks: types, and the versions that are stored.
while at <= #ARGV do
  local group = {layout = ARGV[at], count = tonumber(ARGV[at + 1]), key = KEYS[key], first = at + 2, keys = key}
  if group.layout == 'stream' then
    at, key = at + 3 + 4 * group.count, key + 1
    if not has_type(group.key, 'stream') then group.fault = WRONG end
  elseif group.layout == 'publish' then
    at = at + 4
  elseif group.layout == 'manifest' then
    at, key = at + 2 + 3 * group.count, key + 1
    if not has_type(group.key, 'hash') then group.fault = WRONG end
  else
    group.versions = group.layout == 'hash' and KEYS[key + 1] or group.key
    at, key = at + 2 + 3 * group.count, key + (group.layout == 'hash' and 2 or 1 + group.count)
    if group.layout == 'hash' then
      local is_hash, is_new = has_type(group.key, 'hash')
      if not is_hash then group.fault = WRONG end
      group.is_new = is_new
    end
    local fields = {}
    for index = 1, group.count do fields[index] = ARGV[group.first + 3 * (index - 1)] end
    local stored, fault = many('HMGET', group.versions, fields)
    group.stored, group.fault = stored, group.fault or fault
  end
  groups[#groups + 1] = group
end

local function write(group)
  local values, versions = {}, {}
  for index = 1, group.count do
    local entry = group.first + 3 * (index - 1)
    local field, version, value = ARGV[entry], ARGV[entry + 1], ARGV[entry + 2]
    local known = group.stored and not group.is_new and group.stored[index]
    local text_key = group.layout == 'text' and KEYS[group.keys + index]
    -- A string may have expired or been evicted before its version.
    local is_old = known and known >= version and not (text_key and redis.call('EXISTS', text_key) == 0)
    if not is_old then
      versions[#versions + 1] = field
      versions[#versions + 1] = version
      if text_key then
        local reply
        if seconds == '0' then
          reply = redis.pcall('SET', text_key, value)
        else
          reply = redis.pcall('SET', text_key, value, 'EX', seconds)
        end
        if type(reply) == 'table' and reply.err then return reply.err end
      else
        values[#values + 1] = field
        values[#values + 1] = value
      end
    end
  end
  if #versions == 0 then return 0 end
  if #values > 0 then
    if group.is_new and group.versions then redis.call('DEL', group.versions) end
    local _, fault = many('HSET', group.key, values)
    if fault then return fault end
    expire(group.key)
  end
  if group.versions then
    local _, fault = many('HSET', group.versions, versions)
    if fault then return fault end
    expire(group.versions)
  end
  return #versions / 2
end

local answers = {}
for index, group in ipairs(groups) do
  if group.fault then
    answers[index] = group.fault
  elseif group.layout == 'stream' then
    answers[index] = append(group.key, len_max, ARGV[group.first], group.first + 1, group.count)
    if type(answers[index]) == 'number' then expire(group.key) end
  elseif group.layout == 'publish' then
    local reply = redis.pcall('PUBLISH', ARGV[group.first], ARGV[group.first + 1])
    answers[index] = type(reply) == 'table' and reply.err or 0
  else
    answers[index] = write(group)
  end
end
return answers

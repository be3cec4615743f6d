-- Runs commands on keys, and those behind the first so many only when all of these have succeeded. KEYS: one a command.
-- ARGV: how many must succeed, then of each command its name, how many arguments follow, and these. Answers for each
-- command a number, or an error's text. OWN, which stands before all others, claims the bars of symbols for one owner;
-- its arguments are seconds to live (0 for ever), 1 to take over, then symbol and owner in turn. Where another owner is
-- found, nothing is written.
local function run(name, key, from, count)
  -- Lua takes some thousand arguments at most; fields and values come in pairs.
  for first = from, from + count - 1, 1000 do
    local reply = redis.pcall(name, key, unpack(ARGV, first, math.min(first + 999, from + count - 1)))
    if type(reply) == 'table' and reply.err then return reply.err end
  end
  return 0
end
local function other(key, from, count)
  for at = from, from + count - 1, 1000 do
    local last, symbols = math.min(at + 999, from + count - 1), {}
    for place = at, last, 2 do symbols[#symbols + 1] = ARGV[place] end
    local owners = redis.pcall('HMGET', key, unpack(symbols))
    if owners.err then return owners.err end
    for place, owner in ipairs(owners) do
      if owner and owner ~= ARGV[at + 2 * place - 1] then return 'OWNED ' .. symbols[place] .. ' ' .. owner end
    end
  end
end
local function own(key, from, count)
  local ttl, fault = ARGV[from], ARGV[from + 1] ~= '1' and other(key, from + 2, count - 2)
  if fault then return fault end
  fault = run('HSET', key, from + 2, count - 2)
  if fault == 0 and ttl ~= '0' then redis.call('EXPIRE', key, ttl) end
  return fault
end
local must, at, answers, fault = tonumber(ARGV[1]), 2, {}, nil
for index, key in ipairs(KEYS) do
  local name, count = ARGV[at], tonumber(ARGV[at + 1])
  if name == 'OWN' then
    answers[index] = own(key, at + 2, count)
    if answers[index] ~= 0 then return {err = answers[index]} end
  elseif must < index and fault then
    answers[index] = 'SKIPPED ' .. fault
  else
    answers[index] = run(name, key, at + 2, count)
    if answers[index] ~= 0 then fault = fault or answers[index] end
  end
  at = at + 2 + count
end
return answers

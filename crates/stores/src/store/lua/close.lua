-- Runs commands on keys, and those behind the first so many only when all of these have succeeded. KEYS: one a command.
-- ARGV: how many must succeed, then of each command its name, how many arguments follow, and these. Answers for each
-- command a number, or an error's text.
local function run(name, key, from, count)
  -- Lua takes some thousand arguments at most; fields and values come in pairs.
  for first = from, from + count - 1, 1000 do
    local reply = redis.pcall(name, key, unpack(ARGV, first, math.min(first + 999, from + count - 1)))
    if type(reply) == 'table' and reply.err then return reply.err end
  end
  return 0
end
local must, at, answers, fault = tonumber(ARGV[1]), 2, {}, nil
for index, key in ipairs(KEYS) do
  local count = tonumber(ARGV[at + 1])
  if must < index and fault then
    answers[index] = 'SKIPPED ' .. fault
  else
    answers[index] = run(ARGV[at], key, at + 2, count)
    if answers[index] ~= 0 then fault = fault or answers[index] end
  end
  at = at + 2 + count
end
return answers

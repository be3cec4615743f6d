-- KEYS: fence. ARGV: what, holder, milliseconds to hold, number (0 when acquiring), 1 to take over.
local what, holder, ttl, number = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local found, fault = fence(KEYS[1], what ~= 'acquire' and number or nil, holder)
if not found then return {err = fault} end
if what == 'release' then
  if found.number == number then hold(KEYS[1], number, holder, 0) end
  return {text(number)}
end
local time = now()
if what == 'acquire' then
  number = found.number
  if found.holder ~= holder then
    if time < found.ends and ARGV[5] ~= '1' then return {'held', found.holder, text(found.ends)} end
    number = number + 1
  end
end
hold(KEYS[1], number, holder, time + ttl)
return {text(number)}

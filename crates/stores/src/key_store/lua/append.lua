-- ARGV: seconds to live (0 for ever), length to keep (0 all), smallest id, then four arguments an entry.
local added = append(KEYS[1], ARGV[2], ARGV[3], 4, (#ARGV - 3) / 4)
if type(added) == 'string' then return {err = added} end
if ARGV[1] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return added

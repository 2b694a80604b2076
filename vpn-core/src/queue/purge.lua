-- Removes tasks that are done.
-- KEYS[1]  done tasks (set)   KEYS[2]  payloads (hash by id)   KEYS[3]  prefix of their metadata (hash each)
-- ARGV[1]  only those done at least so many seconds ago
-- Reply    how many were removed, of at most 500 looked at
local removed, now = 0, tonumber(redis.call('TIME')[1])
for _, id in ipairs(redis.call('SRANDMEMBER', KEYS[1], 500)) do
  local meta = KEYS[3] .. ':' .. id
  local done_at = tonumber(redis.call('HGET', meta, 'done_at') or '0')
  if done_at <= now - tonumber(ARGV[1]) then
    redis.call('SREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    redis.call('DEL', meta)
    removed = removed + 1
  end
end
return removed

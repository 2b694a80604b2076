-- Gives back the tasks of a worker that stops.
-- KEYS[1]  its tasks in flight (set)      KEYS[2]  tasks that may be taken (list)
-- KEYS[3]  workers by last heartbeat (sorted set)      KEYS[4]  its metadata
-- ARGV[1]  its name
-- Reply    how many tasks were given back
local ids = redis.call('SMEMBERS', KEYS[1])
for _, id in ipairs(ids) do
  redis.call('RPUSH', KEYS[2], id)
end
redis.call('DEL', KEYS[1], KEYS[4])
redis.call('ZREM', KEYS[3], ARGV[1])
return #ids

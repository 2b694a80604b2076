-- Gives a lock back.
-- KEYS[1]  the lock
-- ARGV[1]  owner
-- Reply    1 given back; 0 was not ours any more
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])

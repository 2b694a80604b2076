-- Keeps a lock that is still ours.
-- KEYS[1]  the lock
-- ARGV[1]  owner
-- ARGV[2]  how long Redis keeps the lock from now, in milliseconds
-- Reply    1 kept; 0 not ours any more (lapsed, or Redis lost it): never taken again here
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])

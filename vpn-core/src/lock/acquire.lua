-- Takes a lock and hands out a fencing token.
-- KEYS[1]  the lock (hash: owner, token)
-- KEYS[2]  the last token handed out (integer, never expires)
-- ARGV[1]  owner: random per attempt, the same when a lost reply makes the attempt ask again
-- ARGV[2]  how long Redis keeps the lock, in milliseconds
-- ARGV[3]  floor: the highest token that SQL has seen; keeps tokens growing after Redis lost everything
-- Reply    {1, token} taken, or taken before by this very attempt; {0, milliseconds left} held by another
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, tonumber(redis.call('HGET', KEYS[1], 'token'))}
end
if owner then
  return {0, redis.call('PTTL', KEYS[1])}
end
local last, floor = tonumber(redis.call('GET', KEYS[2]) or '0'), tonumber(ARGV[3])
local token = redis.call('INCRBY', KEYS[2], math.max(1, floor + 1 - last))
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', token)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, token}

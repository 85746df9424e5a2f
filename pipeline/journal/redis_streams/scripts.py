"""Everything that changes a source, each as one script: Redis runs it whole or not at all, and nothing else meanwhile.

Keys are always lines, state, segments, lock, sources (in this order); what a script takes besides stands above it.
"""

from __future__ import annotations

FENCED = "FENCED"
BEHIND = "BEHIND"
HELD = b"held"

_OURS = """
if redis.call('HGET', KEYS[2], 'writer') ~= ARGV[1] then
  return redis.error_reply('FENCED another writer has taken over')
end
"""

_RENEW = """
if redis.call('PEXPIRE', KEYS[4], ARGV[3]) == 0 then
  redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[3])
end
"""

# token, owner, lock's life in ms, owner that is known to be dead (or ''), source
ACQUIRE = """
local held = redis.call('GET', KEYS[4])
if held and held ~= ARGV[4] then
  return {'held', held, redis.call('PTTL', KEYS[4])}
end
redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[3])
redis.call('HSET', KEYS[2], 'writer', ARGV[1])
redis.call('HSETNX', KEYS[2], 'end', '0-0')
redis.call('HSETNX', KEYS[2], 'head', '0-0')
redis.call('SADD', KEYS[5], ARGV[5])
return {'taken', redis.call('HGET', KEYS[2], 'end')}
"""

# token, owner, lock's life in ms
RENEW = _OURS + _RENEW + "return 'OK'"

# token, owner
RELEASE = """
if redis.call('GET', KEYS[4]) == ARGV[2] then
  redis.call('DEL', KEYS[4])
end
return 'OK'
"""

# token, owner, lock's life in ms, expected end, id of the block, id before it, block, segment, its size, time now, whether to publish
ADD = (
    _OURS
    + """
local ended = redis.call('HGET', KEYS[2], 'end')
if ended ~= ARGV[4] then
  return redis.error_reply('BEHIND it ends at ' .. ended)
end
redis.call('XADD', KEYS[1], ARGV[5], 'b', ARGV[7], 'p', ARGV[6])
redis.call('HSET', KEYS[3], ARGV[8], ARGV[9] .. ' ' .. ARGV[10])
redis.call('HSET', KEYS[2], 'end', ARGV[5])
if ARGV[11] == '1' then
  redis.call('HSET', KEYS[2], 'head', ARGV[5])
end
"""
    + _RENEW
    + "return 'OK'"
)

# token, owner, lock's life in ms, position that is durable
PUBLISH = _OURS + "redis.call('HSET', KEYS[2], 'head', ARGV[4]) return 'OK'"

# first segment to keep, segments to forget ...
PRUNE = """
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1] .. '-0')
for number = 2, #ARGV do
  redis.call('HDEL', KEYS[3], ARGV[number])
end
return 'OK'
"""

"""What RQ writes when a job is requeued, cancelled or deleted, as scripts: no worker comes between two commands.

Each begins with the same arguments: prefix, id, the time as RQ writes it, the same in seconds. Each answers "" when it
is done, else a word and, after a colon, what belongs to it.
"""

from __future__ import annotations

_HEAD = """
local prefix, id, at, seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = prefix .. ':job:' .. id
local found = redis.call('HMGET', key, 'status', 'origin', 'rate_limit_key', 'rate_limit_concurrency', 'timeout', 'ttl')
local status, origin, limit, most = found[1], found[2], found[3], found[4]
if limit == '' then limit = false end
if not status then return 'gone:' end
if not origin then return 'state:' .. status .. ', and of no queue' end
local queue = prefix .. ':queue:' .. origin

local function registry(name) return prefix .. ':' .. name .. ':' .. origin end

-- Those that run under a lease which has not ended.
local function is_held()
  for _, execution in ipairs(redis.call('ZRANGE', prefix .. ':executions:' .. id, 0, -1)) do
    local until_s = redis.call('ZSCORE', registry('wip'), id .. ':' .. execution)
    if until_s and tonumber(until_s) > tonumber(seconds) then return true end
  end
  return false
end

-- A place of the rate limit is free: the oldest of those that wait for it take it.
local function admit(name, concurrency)
  local limited = prefix .. ':rl:' .. name
  while redis.call('ZCARD', limited .. ':allowed') < concurrency do
    local next_one = redis.call('ZPOPMIN', limited .. ':rate_limited')
    if #next_one == 0 then break end
    local other = prefix .. ':job:' .. next_one[1]
    local about = redis.call('HMGET', other, 'origin', 'status', 'enqueue_at_front')
    if about[1] and about[2] == 'rate_limited' then
      redis.call('ZADD', limited .. ':allowed', seconds, next_one[1])
      redis.call(about[3] == '1' and 'LPUSH' or 'RPUSH', prefix .. ':queue:' .. about[1], next_one[1])
      redis.call('HSET', other, 'status', 'queued', 'enqueued_at', at)
    end
  end
end

local function leave_limit()
  if not limit then return end
  local limited = prefix .. ':rl:' .. limit
  redis.call('ZREM', limited .. ':rate_limited', id)
  if redis.call('ZREM', limited .. ':allowed', id) == 1 then
    admit(limit, tonumber(redis.call('HGET', limited, 'concurrency') or '0'))
  end
end
"""

RETRY = (
    _HEAD
    + """
local from = ({failed = 'failed', stopped = 'failed', canceled = 'canceled'})[status]
if not from then return 'state:' .. status end
if is_held() then return 'held:' end
if redis.call('ZREM', registry(from), id) == 0 then return 'unlisted:' .. from end
redis.call('PERSIST', key)
redis.call('HSET', key, 'started_at', '', 'ended_at', '', 'exc_info', ARGV[5])
if not found[5] then redis.call('HSET', key, 'timeout', ARGV[6]) end
if found[6] and tonumber(found[6]) and tonumber(found[6]) > 0 then
  redis.call('EXPIRE', key, found[6])
  redis.call('EXPIRE', key .. ':dependents', found[6])
  redis.call('EXPIRE', prefix .. ':job::' .. id .. ':dependencies', found[6])
end
if limit and tonumber(most or '') then
  redis.call('HSET', key, 'status', 'rate_limited', 'enqueue_at_front', 0)
  redis.call('SADD', prefix .. ':rl-keys', limit)
  redis.call('HSET', prefix .. ':rl:' .. limit, 'concurrency', most)
  redis.call('ZADD', prefix .. ':rl:' .. limit .. ':rate_limited', seconds, id)
  admit(limit, tonumber(most))
else
  redis.call('HSET', key, 'status', 'queued', 'enqueued_at', at)
  redis.call('RPUSH', queue, id)
end
return ''
"""
)
"""Two arguments more: an empty traceback as RQ packs it, and the time-out of a job that has none."""

CANCEL = (
    _HEAD
    + """
local removed
if status == 'started' then return 'started:' end
if status == 'queued' then
  removed = redis.call('LREM', queue, 1, id)
elseif status == 'rate_limited' and limit then
  removed = redis.call('ZREM', prefix .. ':rl:' .. limit .. ':rate_limited', id)
else
  local from = ({scheduled = 'scheduled', deferred = 'deferred', ready_to_enqueue = 'ready'})[status]
  if not from then return 'state:' .. status end
  removed = redis.call('ZREM', registry(from), id)
end
if removed == 0 then return 'taken:' end
redis.call('HSET', key, 'status', 'canceled')
redis.call('ZADD', registry('canceled'), seconds, id)
leave_limit()
return ''
"""
)

DELETE = (
    _HEAD
    + """
if is_held() then return 'held:' end
local children = 0
for _, child in ipairs(redis.call('SMEMBERS', key .. ':dependents')) do
  if redis.call('HGET', prefix .. ':job:' .. child, 'status') == 'deferred' then children = children + 1 end
end
if children > 0 then return 'children:' .. children end
local listed = redis.call('LREM', queue, 0, id)
if status == 'queued' and listed == 0 then return 'taken:' end
for _, name in ipairs({'failed', 'finished', 'canceled', 'deferred', 'scheduled', 'ready'}) do
  redis.call('ZREM', registry(name), id)
end
for _, execution in ipairs(redis.call('ZRANGE', prefix .. ':executions:' .. id, 0, -1)) do
  local member = id .. ':' .. execution
  local worker = redis.call('HGET', prefix .. ':execution:' .. member, 'worker_name')
  if worker and worker ~= '' then redis.call('SREM', prefix .. ':worker:' .. worker .. ':executions', member) end
  redis.call('ZREM', registry('wip'), member)
  redis.call('DEL', prefix .. ':execution:' .. member)
end
local group = redis.call('HGET', key, 'group_id')
if group and group ~= '' then redis.call('SREM', prefix .. ':group:' .. group, id) end
local parents = prefix .. ':job::' .. id .. ':dependencies'
for _, parent in ipairs(redis.call('SMEMBERS', parents)) do
  redis.call('SREM', prefix .. ':job:' .. parent .. ':dependents', id)
end
redis.call('DEL', key, key .. ':dependents', parents, prefix .. ':results:' .. id, prefix .. ':executions:' .. id)
leave_limit()
return ''
"""
)

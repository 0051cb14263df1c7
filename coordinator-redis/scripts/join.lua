#!lua flags=allow-oom
-- Makes a session known, or known again with a higher epoch.
-- keys: node sessions nodes left counts fence server outage charged
-- ARGV: token, epoch, lease in ms, weight, node's name, 1 to end another session that has the name,
-- hint channel, the highest fence that the node has heard of.
-- Answer: 1, the ms until the first session lapses, how many tasks are to be pardoned (pardon.lua),
-- and the highest fence that was given; or 0, the token of the session that has the name, and the ms until it lapses.
-- include clock.lua
local call = redis.call
-- include outage.lua

-- Another server than the last one, or a later run of it, may have lost the last fences, and its
-- clock may be behind. Those were times of a clock, or followed each other by one: it goes on from
-- beyond both.
local skew, soon, lost = 86400000000, 1000000, 60000000
local function raise_fence_to(fence)
    if fence <= 9007199254740991 then
        call('SET', KEY.fence, string.format('%.0f', fence))
    end
end
local function raise_fence()
    local info = redis.pcall('INFO', 'server') -- which a restricted user may not be allowed
    local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)')
    if not run then
        return
    end
    local before, last = call('GET', KEY.server), tonumber(call('GET', KEY.fence))
    if before == run then
        return
    end
    -- Where the clocks agree, time alone decides: a server that never heard of the raise before, in
    -- whose time fences were given as well, is beyond it all the same.
    local fence = now_us + skew
    if before or last then
        raise_fence_to(last and last + soon > fence and last + lost or fence)
    end
    call('SET', KEY.server, run)
end
-- One that has come back from before a failover knows itself, and not what was given elsewhere; one
-- that was emptied knows nothing.
local function heed_fence(heard)
    if heard > (tonumber(call('GET', KEY.fence)) or 0) then
        raise_fence_to(heard + lost)
    end
end

local token, epoch, lease = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local session = call('HMGET', KEY.node, 'token', 'epoch')
local holder, known = session[1], tonumber(session[2])
local left = tonumber(call('GET', KEY.left))
if left and epoch <= left then
    return redis.error_reply('STALE the session has left since')
end
if holder == token then
    if known and epoch < known then
        return redis.error_reply('STALE the session has joined again since')
    end
elseif holder then
    if ARGV[6] ~= '1' then
        return { 0, holder, call('PTTL', KEY.node) }
    end
    -- It has ended, not lapsed, but its process has died: see reap.lua.
    call('ZADD', KEY.sessions, 'XX', -1, holder)
end
raise_fence()
heed_fence(tonumber(ARGV[8]))
note_outage()
call('HSET', KEY.node, 'token', token, 'epoch', ARGV[2], 'weight', ARGV[4], 'lease', lease)
call('PEXPIRE', KEY.node, lease)
call('ZADD', KEY.sessions, now + lease, token)
local node = ARGV[4] .. ' ' .. ARGV[5]
call('HSET', KEY.nodes, token, node)
local held = call('HGET', KEY.counts, token) or '0'
call('PUBLISH', ARGV[7], 'joined ' .. token .. '\n' .. token .. ' ' .. held .. ' ' .. node)
return { 1, math.floor(call('ZRANGE', KEY.sessions, 0, 0, 'WITHSCORES')[2] - now), call('SCARD', KEY.charged),
    tonumber(call('GET', KEY.fence)) or 0 }

#!lua flags=allow-oom
-- Makes a session known, or known again with a higher epoch.
-- KEYS: node, sessions, nodes, left, counts, fence, server, outage, charged.
-- ARGV: token, epoch, lease in ms, weight, node's name, 1 to end another session that has the name,
-- hint channel.
-- Answer: 1, the ms until the first session lapses, and how many tasks are to be pardoned
-- (pardon.lua); or 0, the token of the session that has the name, and the ms until it lapses.
-- include clock.lua
local call = redis.call
-- include outage.lua

-- Another server than the last one, or a later run of it, may have lost the last fences, and its
-- clock may be behind. Those were times of a clock, or followed each other by one: it goes on from
-- beyond both.
local function raise_fence()
    local info = redis.pcall('INFO', 'server') -- which a restricted user may not be allowed
    local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)')
    if not run then
        return
    end
    local before, last = call('GET', KEYS[7]), tonumber(call('GET', KEYS[6]))
    if before == run then
        return
    end
    local skew, lost = 86400000000, 60000000
    local fence = math.max(last and last + lost or 0, now_us + skew)
    if (before or last) and fence <= 9007199254740991 then
        call('SET', KEYS[6], string.format('%.0f', fence))
    end
    call('SET', KEYS[7], run)
end

local token, epoch, lease = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local session = call('HMGET', KEYS[1], 'token', 'epoch')
local holder, known = session[1], tonumber(session[2])
local left = tonumber(call('GET', KEYS[4]))
if left and epoch <= left then
    return redis.error_reply('STALE the session has left since')
end
if holder == token then
    if known and epoch < known then
        return redis.error_reply('STALE the session has joined again since')
    end
elseif holder then
    if ARGV[6] ~= '1' then
        return { 0, holder, call('PTTL', KEYS[1]) }
    end
    -- It has ended, not lapsed, but its process has died: see reap.lua.
    call('ZADD', KEYS[2], 'XX', -1, holder)
end
raise_fence()
note_outage(KEYS[2], KEYS[8])
call('HSET', KEYS[1], 'token', token, 'epoch', ARGV[2], 'weight', ARGV[4], 'lease', lease)
call('PEXPIRE', KEYS[1], lease)
call('ZADD', KEYS[2], now + lease, token)
local node = ARGV[4] .. ' ' .. ARGV[5]
call('HSET', KEYS[3], token, node)
local held = call('HGET', KEYS[5], token) or '0'
call('PUBLISH', ARGV[7], 'joined ' .. token .. '\n' .. token .. ' ' .. held .. ' ' .. node)
return { 1, math.floor(call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] - now), call('SCARD', KEYS[9]) }

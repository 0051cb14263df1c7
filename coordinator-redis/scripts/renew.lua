#!lua flags=allow-oom
-- Renews a session and some of its claims.
-- keys: node sessions tasks ready held counts crashes aside owners
-- ARGV: token, epoch, lease in ms, node's name, hint channel, where the id begins in an owner key,
-- the highest fence of claims that are old enough to be no crash loop, then the fences as runs: the first place, and the fence from there on.
-- Answer: ms until the first session lapses, how many tasks the session holds, then for each claim
-- that is lost its place and 1 (not the owner) or 2 (task gone).
-- include session.lua
-- include clock.lua
-- include owner.lua
-- include runs.lua
-- include lost.lua
local lease, from = ARGV[3], tonumber(ARGV[6])
local expected_at = expected_records(ARGV[4], 8)
local n = #KEYS - OWNERS
call('ZCARD', KEY.ready)
call('SCARD', KEY.held)
local owners = n > 0 and call('MGET', unpack(KEYS, OWNERS + 1)) or {}
local answer = { 0, 0 }
local expiry = string.format('%.0f', now + lease) -- not rewritten for replicas, as PEXPIRE is
local suspects, survived, old = call('HLEN', KEY.crashes) > 0, {}, tonumber(ARGV[7])
for i = 1, n do
    local expected, fence = expected_at(i)
    if owners[i] == expected then
        call('PEXPIREAT', KEYS[OWNERS + i], expiry)
        if suspects and tonumber(fence) <= old then
            survived[#survived + 1] = string.sub(KEYS[OWNERS + i], from)
        end
    else
        local id = string.sub(KEYS[OWNERS + i], from)
        local code = lost(id, owners[i])
        answer[#answer + 1] = i
        answer[#answer + 1] = code
    end
end
if #survived > 0 then
    call('HDEL', KEY.crashes, unpack(survived))
end
answer[2] = call('SCARD', KEY.held)
if #answer > 2 then
    return_strays(ARGV[5])
    call('HSET', KEY.counts, token, answer[2])
end
-- Last, so that a session is never seen to lapse before its claims.
call('PEXPIRE', KEY.node, lease)
call('ZADD', KEY.sessions, now + lease, token)
answer[1] = math.floor(call('ZRANGE', KEY.sessions, 0, 0, 'WITHSCORES')[2] - now)
return answer

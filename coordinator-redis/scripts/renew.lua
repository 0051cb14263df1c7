#!lua flags=allow-oom
-- Renews a session and some of its claims.
-- KEYS: node, sessions, tasks, ready, held, counts, crashes, aside, then an owner key for each claim.
-- ARGV: token, epoch, lease in ms, node's name, hint channel, where the id begins in an owner key,
-- the highest fence of claims that are old enough to be no crash loop, then the fences as runs: the first place, and the fence from there on.
-- Answer: ms until the first session lapses, how many tasks the session holds, then for each claim
-- that is lost its place and 1 (not the owner) or 2 (task gone).
-- include session.lua
-- include clock.lua
-- include lost.lua
local fixed, run = 8, 8
local lease, from = ARGV[3], tonumber(ARGV[6])
local mine, suffix = token .. ' ', ' ' .. ARGV[4]
local n = #KEYS - fixed
call('ZCARD', KEYS[4])
call('SCARD', KEYS[5])
local owners = n > 0 and call('MGET', unpack(KEYS, fixed + 1)) or {}
local answer, expected = { 0, 0 }, nil
local expiry = string.format('%.0f', now + lease) -- not rewritten for replicas, as PEXPIRE is
local change = tonumber(ARGV[run])
local suspects, survived, claimed = call('HLEN', KEYS[7]) > 0, {}, nil
for i = 1, n do
    if i == change then
        expected = mine .. ARGV[run + 1] .. suffix
        claimed = tonumber(ARGV[run + 1])
        run = run + 2
        change = tonumber(ARGV[run])
    end
    if owners[i] == expected then
        call('PEXPIREAT', KEYS[fixed + i], expiry)
        if suspects and claimed <= tonumber(ARGV[7]) then
            survived[#survived + 1] = string.sub(KEYS[fixed + i], from)
        end
    else
        local id = string.sub(KEYS[fixed + i], from)
        local code = lost(id, owners[i], mine, KEYS[3], KEYS[5])
        answer[#answer + 1] = i
        answer[#answer + 1] = code
    end
end
if #survived > 0 then
    call('HDEL', KEYS[7], unpack(survived))
end
answer[2] = call('SCARD', KEYS[5])
if #answer > 2 then
    return_strays(KEYS[4], KEYS[8], ARGV[5])
    call('HSET', KEYS[6], token, answer[2])
end
-- Last, so that a session is never seen to lapse before its claims.
call('PEXPIRE', KEYS[1], lease)
call('ZADD', KEYS[2], now + lease, token)
answer[1] = math.floor(call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] - now)
return answer

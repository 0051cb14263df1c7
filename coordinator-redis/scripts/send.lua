#!lua flags=allow-oom
-- Stores a command for a node. Its sequence number comes from the fence counter, so that it rises
-- even after all earlier commands are gone.
-- keys: commands fence moved
-- ARGV: command, the node's hint channel, how long to keep it in ms, the migration whose mark does not
-- stop it.
-- Answer: 1.
-- include clock.lua
-- include away.lua
local call = redis.call
local refusal = away(KEY.moved)
if refusal and string.match(call('GET', KEY.moved), '^%S+') ~= ARGV[4] then
    return refusal
end
local sequence = math.max((tonumber(call('GET', KEY.fence)) or 0) + 1, now_us)
if sequence > 9007199254740991 then
    return redis.error_reply('DAMAGED the fence counter is out of range')
end
sequence = string.format('%.0f', sequence)
call('ZCARD', KEY.commands)
call('SET', KEY.fence, sequence)
call('ZREMRANGEBYSCORE', KEY.commands, '-inf', now_us - ARGV[3] * 1000)
call('ZADD', KEY.commands, sequence, sequence .. ' ' .. ARGV[1])
call('PEXPIRE', KEY.commands, ARGV[3])
call('PUBLISH', ARGV[2], 'command -')
return 1

#!lua flags=allow-oom
-- Takes back crashes that tasks were charged with when a session lapsed whose process lives, some a
-- call, and ends what came of them: a pause, or that the task is set aside.
-- KEYS: charged, ready, crashes, aside, later.
-- ARGV: hint channel, how many tasks at most.
-- Answer: how many are left.
-- include clock.lua
local call = redis.call
local freed = {}
call('ZCARD', KEYS[2])
call('HLEN', KEYS[3])
for _, id in ipairs(call('SPOP', KEYS[1], ARGV[2])) do
    -- Without a record it has survived since, or is gone.
    local count, at = string.match(call('HGET', KEYS[3], id) or '', '^(%d+) (%d+)')
    if count then
        if count == '1' then
            call('HDEL', KEYS[3], id)
        else
            call('HSET', KEYS[3], id, string.format('%.0f %s', count - 1, at))
        end
        if call('ZREM', KEYS[5], id) + call('SREM', KEYS[4], id) > 0 then
            call('ZADD', KEYS[2], stamp, id)
            freed[#freed + 1] = id
        end
    end
end
if #freed > 0 then
    call('PUBLISH', ARGV[1], 'claimable -\n' .. table.concat(freed, '\n'))
end
return call('SCARD', KEYS[1])

#!lua flags=allow-oom
-- Takes back crashes that tasks were charged with when a session lapsed whose process lives, some a
-- call, and ends what came of them: a pause, or that the task is set aside.
-- keys: charged ready crashes aside later holds
-- ARGV: hint channel, how many tasks at most.
-- Answer: how many are left.
-- include clock.lua
local call = redis.call
local freed = {}
call('ZCARD', KEY.ready)
call('HLEN', KEY.crashes)
for _, id in ipairs(call('SPOP', KEY.charged, ARGV[2])) do
    -- Without a record it has survived since, or is gone. What a migration holds moves as it was read.
    local count, at = string.match(call('HGET', KEY.crashes, id) or '', '^(%d+) (%d+)')
    if count and call('HEXISTS', KEY.holds, id) == 0 then
        if count == '1' then
            call('HDEL', KEY.crashes, id)
        else
            call('HSET', KEY.crashes, id, string.format('%.0f %s', count - 1, at))
        end
        if call('ZREM', KEY.later, id) + call('SREM', KEY.aside, id) > 0 then
            call('ZADD', KEY.ready, stamp, id)
            freed[#freed + 1] = id
        end
    end
end
if #freed > 0 then
    call('PUBLISH', ARGV[1], 'claimable -\n' .. table.concat(freed, '\n'))
end
return call('SCARD', KEY.charged)

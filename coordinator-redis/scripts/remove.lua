#!lua flags=allow-oom
-- Removes tasks, running or not. An owner finds out by the hint, or when it renews.
-- A claim stays in force, marked as that of a removed task, until it is released or its lease ends,
-- so that a task submitted anew under the id does not run beside the old one's handler.
-- KEYS: submitted, tasks, ready, removed, later, messages, mail, crashes, aside, then an owner key
-- for each task.
-- ARGV: hint channel, how long to remember the answer in ms, where the id begins in an owner key.
-- Answer: as of submit.lua, 1 (removed) or 0 (no such task).
-- include clock.lua
local call = redis.call
local answer = call('GET', KEYS[1])
if answer then
    return answer
end
call('ZCARD', KEYS[3])
local fixed, from = 9, tonumber(ARGV[3])
local results, ids = {}, {}

local function mark(key, id)
    local owner, left = redis.pcall('GET', key), call('PTTL', key)
    if left < 0 or type(owner) == 'table' then
        call('DEL', key) -- no claim, or none that would end
    else
        if string.sub(owner, 1, 8) ~= 'removed ' then
            call('SET', key, 'removed ' .. owner, 'KEEPTTL')
        end
        call('ZADD', KEYS[4], now + left, id)
    end
end

call('ZREMRANGEBYSCORE', KEYS[4], '-inf', stamp)
for i = fixed + 1, #KEYS do
    local id = string.sub(KEYS[i], from)
    local removed = call('HDEL', KEYS[2], id)
    results[#results + 1] = removed
    if removed == 1 then
        ids[#ids + 1] = id
        mark(KEYS[i], id)
    end
end
answer = table.concat(results)
if #ids > 0 then
    call('ZREM', KEYS[3], unpack(ids))
    call('ZREM', KEYS[5], unpack(ids))
    call('HDEL', KEYS[6], unpack(ids))
    call('ZREM', KEYS[7], unpack(ids))
    call('HDEL', KEYS[8], unpack(ids))
    call('SREM', KEYS[9], unpack(ids))
    call('PUBLISH', ARGV[1], 'removed -\n' .. table.concat(ids, '\n'))
end
call('SET', KEYS[1], answer, 'PX', ARGV[2])
return answer

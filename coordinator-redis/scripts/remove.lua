#!lua flags=allow-oom
-- Removes tasks, running or not. An owner finds out by the hint, or when it renews.
-- A claim stays in force, marked as that of a removed task, until it is released or its lease ends,
-- so that a task submitted anew under the id does not run beside the old one's handler.
-- keys: submitted tasks ready removed later messages mail crashes aside holds moved owners
-- ARGV: hint channel, how long to remember the answer in ms, where the id begins in an owner key.
-- Answer: as of submit.lua, 1 (removed), 0 (no such task) or 3 (it moves, or may have moved).
-- include clock.lua
-- include away.lua
local call = redis.call
-- include owner.lua
local answer = call('GET', KEY.submitted)
if answer then
    return answer
end
call('ZCARD', KEY.ready)
local from = tonumber(ARGV[3])
local absent, some_held = moving(KEY.moved) and 3 or 0, call('HLEN', KEY.holds) > 0
local results, ids = {}, {}

local function mark(key, id)
    local owner, left = redis.pcall('GET', key), call('PTTL', key)
    if left < 0 or type(owner) == 'table' then
        call('DEL', key) -- no claim, or none that would end
    else
        call('SET', key, of_removed(unmarked(owner)), 'KEEPTTL')
        call('ZADD', KEY.removed, now + left, id)
    end
end

call('ZREMRANGEBYSCORE', KEY.removed, '-inf', stamp)
for i = OWNERS + 1, #KEYS do
    local id = string.sub(KEYS[i], from)
    local held = some_held and string.match(call('HGET', KEY.holds, id) or '', ' held$')
    if held then
        results[#results + 1] = 3
    elseif call('HDEL', KEY.tasks, id) == 1 then
        results[#results + 1] = 1
        ids[#ids + 1] = id
        mark(KEYS[i], id)
    else
        results[#results + 1] = absent
    end
end
answer = table.concat(results)
if #ids > 0 then
    call('ZREM', KEY.ready, unpack(ids))
    call('ZREM', KEY.later, unpack(ids))
    call('HDEL', KEY.messages, unpack(ids))
    call('ZREM', KEY.mail, unpack(ids))
    call('HDEL', KEY.crashes, unpack(ids))
    call('SREM', KEY.aside, unpack(ids))
    call('PUBLISH', ARGV[1], 'removed -\n' .. table.concat(ids, '\n'))
end
call('SET', KEY.submitted, answer, 'PX', ARGV[2])
return answer

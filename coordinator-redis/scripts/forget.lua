#!lua flags=allow-oom
-- Removes what is known of tasks that have no owner besides that they exist. Those that were set
-- aside become claimable.
-- keys: submitted tasks ready state messages mail crashes aside holds moved owners
-- ARGV: hint channel, how long to remember the answer in ms, where the id begins in an owner key.
-- Answer: as of submit.lua, 1 (done), 0 (nothing is known of it), 2 (it has an owner) or 3 (it moves, or
-- may have moved).
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
local results, freed = {}, {}
local function forget(id)
    local known = call('HDEL', KEY.state, id) + call('HDEL', KEY.messages, id) + call('HDEL', KEY.crashes, id)
    call('ZREM', KEY.mail, id)
    local aside, exists = call('SREM', KEY.aside, id), call('HEXISTS', KEY.tasks, id)
    if aside == 1 and exists == 1 then
        call('ZADD', KEY.ready, stamp, id)
        freed[#freed + 1] = id
    end
    return known + aside + exists > 0 and 1 or absent
end
for i = OWNERS + 1, #KEYS do
    local owner, id = redis.pcall('GET', KEYS[i]), string.sub(KEYS[i], from)
    local removed = type(owner) == 'string' and select(2, unmarked(owner))
    if some_held and string.match(call('HGET', KEY.holds, id) or '', ' held$') then
        results[#results + 1] = 3
    elseif owner and not removed then
        results[#results + 1] = 2
    else
        results[#results + 1] = forget(id)
    end
end
answer = table.concat(results)
call('SET', KEY.submitted, answer, 'PX', ARGV[2])
if #freed > 0 then
    call('PUBLISH', ARGV[1], 'claimable -\n' .. table.concat(freed, '\n'))
end
return answer

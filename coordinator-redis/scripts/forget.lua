#!lua flags=allow-oom
-- Removes what is known of tasks that have no owner besides that they exist. Those that were set
-- aside become claimable.
-- keys: submitted tasks ready state messages mail crashes aside owners
-- ARGV: hint channel, how long to remember the answer in ms, where the id begins in an owner key.
-- Answer: as of submit.lua, 1 (done), 0 (nothing is known of it) or 2 (it has an owner).
-- include clock.lua
local call = redis.call
-- include owner.lua
local answer = call('GET', KEY.submitted)
if answer then
    return answer
end
call('ZCARD', KEY.ready)
local from = tonumber(ARGV[3])
local results, freed = {}, {}
local function forget(id)
    local known = call('HDEL', KEY.state, id) + call('HDEL', KEY.messages, id) + call('HDEL', KEY.crashes, id)
    call('ZREM', KEY.mail, id)
    local aside, exists = call('SREM', KEY.aside, id), call('HEXISTS', KEY.tasks, id)
    if aside == 1 and exists == 1 then
        call('ZADD', KEY.ready, stamp, id)
        freed[#freed + 1] = id
    end
    return known + aside + exists > 0 and 1 or 0
end
for i = OWNERS + 1, #KEYS do
    local owner = redis.pcall('GET', KEYS[i])
    local removed = type(owner) == 'string' and select(2, unmarked(owner))
    results[#results + 1] = owner and not removed and 2 or forget(string.sub(KEYS[i], from))
end
answer = table.concat(results)
call('SET', KEY.submitted, answer, 'PX', ARGV[2])
if #freed > 0 then
    call('PUBLISH', ARGV[1], 'claimable -\n' .. table.concat(freed, '\n'))
end
return answer

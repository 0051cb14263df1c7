#!lua flags=allow-oom
-- Removes what is known of tasks that have no owner besides that they exist. Those that were set
-- aside become claimable.
-- KEYS: submitted, tasks, ready, state, messages, mail, crashes, aside, then an owner key for each
-- task.
-- ARGV: hint channel, how long to remember the answer in ms, where the id begins in an owner key.
-- Answer: as of submit.lua, 1 (done), 0 (nothing is known of it) or 2 (it has an owner).
-- include clock.lua
local call = redis.call
local answer = call('GET', KEYS[1])
if answer then
    return answer
end
call('ZCARD', KEYS[3])
local fixed, from = 8, tonumber(ARGV[3])
local results, freed = {}, {}
local function forget(id)
    local known = call('HDEL', KEYS[4], id) + call('HDEL', KEYS[5], id) + call('HDEL', KEYS[7], id)
    call('ZREM', KEYS[6], id)
    local aside, exists = call('SREM', KEYS[8], id), call('HEXISTS', KEYS[2], id)
    if aside == 1 and exists == 1 then
        call('ZADD', KEYS[3], stamp, id)
        freed[#freed + 1] = id
    end
    return known + aside + exists > 0 and 1 or 0
end
for i = fixed + 1, #KEYS do
    local owner = redis.pcall('GET', KEYS[i])
    if owner and not (type(owner) == 'string' and string.sub(owner, 1, 8) == 'removed ') then
        results[#results + 1] = 2
    else
        results[#results + 1] = forget(string.sub(KEYS[i], from))
    end
end
answer = table.concat(results)
call('SET', KEYS[1], answer, 'PX', ARGV[2])
if #freed > 0 then
    call('PUBLISH', ARGV[1], 'claimable -\n' .. table.concat(freed, '\n'))
end
return answer

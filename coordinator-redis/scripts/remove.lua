-- Removes tasks, running or not. An owner finds out by the hint, or when it renews.
-- KEYS: submitted, tasks, ready, then an owner key for each task.
-- ARGV: hint channel, how long to remember the answer in ms, where the id begins in an owner key.
-- Answer: as of submit.lua, 1 (removed) or 0 (no such task).
local call = redis.call
local answer = call('GET', KEYS[1])
if answer then
    return answer
end
call('ZCARD', KEYS[3])
local fixed, from = 3, tonumber(ARGV[3])
local results, ids, keys = {}, {}, {}
for i = fixed + 1, #KEYS do
    local id = string.sub(KEYS[i], from)
    local removed = call('HDEL', KEYS[2], id)
    results[#results + 1] = removed
    if removed == 1 then
        ids[#ids + 1] = id
        keys[#keys + 1] = KEYS[i]
    end
end
answer = table.concat(results)
if #ids > 0 then
    call('DEL', unpack(keys))
    call('ZREM', KEYS[3], unpack(ids))
    call('PUBLISH', ARGV[1], 'removed -\n' .. table.concat(ids, '\n'))
end
call('SET', KEYS[1], answer, 'PX', ARGV[2])
return answer

-- Included by the scripts in which a session can turn out not to own a task. lost() takes the task
-- out of what the session holds and answers 1 (another owner, or none) or 2 (the task is gone); with
-- none, the task is made claimable again, for nobody else would.
local strays = {}
local function lost(id, owner, mine, tasks, held)
    if owner and string.sub(owner, 1, #mine) == mine then
        return 1
    end
    if owner and string.sub(owner, 1, 8 + #mine) == 'removed ' .. mine then
        return 2 -- and stays held until it is released or lapses
    end
    local removed = call('SREM', held, id)
    if call('HEXISTS', tasks, id) == 0 then
        return 2
    end
    if removed == 1 and not owner then
        strays[#strays + 1] = id
    end
    return 1
end
-- The claim on a removed task is over: one that was submitted anew under the id may be claimed.
local function end_removed(key, id, tasks, ready, held, removed)
    redis.call('DEL', key)
    redis.call('SREM', held, id)
    redis.call('ZREM', removed, id)
    if redis.call('HEXISTS', tasks, id) == 1 then
        strays[#strays + 1] = id
    end
end
local function return_strays(ready, channel)
    for _, id in ipairs(strays) do
        call('ZADD', ready, stamp, id)
    end
    if #strays > 0 then
        call('PUBLISH', channel, 'claimable -\n' .. table.concat(strays, '\n'))
    end
end

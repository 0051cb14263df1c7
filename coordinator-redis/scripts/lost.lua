-- Included by the scripts in which a session can turn out not to own a task. lost() takes the task
-- out of what the session holds and answers 1 (another owner, or none) or 2 (the task is gone); with
-- none, the task is made claimable again, for nobody else would.
local strays = {}
local function lost(id, owner, mine, tasks, held)
    if owner and string.sub(owner, 1, #mine) == mine then
        return 1
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
local function return_strays(ready, channel)
    for _, id in ipairs(strays) do
        call('ZADD', ready, 'NX', stamp, id)
    end
    if #strays > 0 then
        call('PUBLISH', channel, 'claimable -\n' .. table.concat(strays, '\n'))
    end
end

-- Included by the scripts in which a session can turn out not to own a task. lost() takes the task
-- out of what the session holds and answers 1 (another owner, or none) or 2 (the task is gone); with
-- none, the task is made claimable again, for nobody else would: no session may list it any more.
local strays = {}
local function lost(id, owner, mine, tasks, held)
    if owner and string.sub(owner, 1, #mine) == mine then
        return 1
    end
    if owner and string.sub(owner, 1, 8 + #mine) == 'removed ' .. mine then
        return 2 -- and stays held until it is released or lapses
    end
    call('SREM', held, id)
    if call('HEXISTS', tasks, id) == 0 then
        return 2
    end
    if not owner then
        strays[#strays + 1] = id
    end
    return 1
end
-- The claim on a removed task is over: one that was submitted anew under the id may be claimed,
-- at once, or at the time that it was submitted for.
local function end_removed(key, id, tasks, ready, held, removed, later)
    call('DEL', key)
    call('SREM', held, id)
    call('ZREM', removed, id)
    local time = call('ZSCORE', later, id)
    if call('HEXISTS', tasks, id) == 0 then
        return
    elseif time and tonumber(time) > now then
        call('ZADD', ready, time, id)
    else
        call('ZADD', ready, stamp, id)
        strays[#strays + 1] = id
    end
end
-- One that is listed already, for later perhaps, stays as it is, and one that is set aside is.
local function return_strays(ready, aside, channel)
    local offered = {}
    for _, id in ipairs(strays) do
        if call('SISMEMBER', aside, id) == 0 then
            call('ZADD', ready, 'NX', stamp, id)
            offered[#offered + 1] = id
        end
    end
    if #offered > 0 then
        call('PUBLISH', channel, 'claimable -\n' .. table.concat(offered, '\n'))
    end
end

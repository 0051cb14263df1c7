-- Included by the scripts in which a session can turn out not to own a task. lost() takes the task
-- out of what the session holds and answers 1 (another owner, or none) or 2 (the task is gone); with
-- none, the task is made claimable again, for nobody else would: no session may list it any more.
local strays = {}
local function lost(id, owner)
    if owner then
        local record, removed = unmarked(owner)
        if is_owned_by(record, token) then
            return removed and 2 or 1 -- a removed one stays held until it is released or lapses
        end
    end
    call('SREM', KEY.held, id)
    if call('HEXISTS', KEY.tasks, id) == 0 then
        return 2
    end
    if not owner then
        strays[#strays + 1] = id
    end
    return 1
end
-- One that is listed already, for later perhaps, stays as it is, and one that is set aside is.
local function return_strays(channel)
    local offered = {}
    for _, id in ipairs(strays) do
        if call('SISMEMBER', KEY.aside, id) == 0 then
            call('ZADD', KEY.ready, 'NX', stamp, id)
            offered[#offered + 1] = id
        end
    end
    if #offered > 0 then
        call('PUBLISH', channel, 'claimable -\n' .. table.concat(offered, '\n'))
    end
end

-- Included by release and done: which of the tasks are the session's, token and fence.
-- keys: node tasks ready held counts removed crashes messages mail aside later owners
-- ARGV: token, epoch, node's name, hint channel, where the id begins in an owner key, then the
-- fences as runs: the first place, and the fence from there on.
-- Answer: for each task that was refused its place and 1 (not the owner) or 2 (task gone).
-- include session.lua
-- include clock.lua
-- include owner.lua
-- include runs.lua
-- include lost.lua

-- The claim on a removed task is over: one that was submitted anew under the id may be claimed,
-- at once, or at the time that it was submitted for.
local function end_removed(key, id)
    call('DEL', key)
    call('SREM', KEY.held, id)
    call('ZREM', KEY.removed, id)
    local time = call('ZSCORE', KEY.later, id)
    if call('HEXISTS', KEY.tasks, id) == 0 then
        return
    elseif time and tonumber(time) > now then
        call('ZADD', KEY.ready, time, id)
    else
        call('ZADD', KEY.ready, stamp, id)
        strays[#strays + 1] = id
    end
end

local from, expected_at = tonumber(ARGV[5]), expected_records(ARGV[3], 6)
call('ZCARD', KEY.ready)
call('SCARD', KEY.held)
local owners = call('MGET', unpack(KEYS, OWNERS + 1))
local answer, keys, ids = {}, {}, {}
for i = 1, #KEYS - OWNERS do
    local key = KEYS[OWNERS + i]
    local id = string.sub(key, from)
    local expected = expected_at(i)
    if owners[i] == expected then
        keys[#keys + 1] = key
        ids[#ids + 1] = id
    elseif expected and owners[i] == of_removed(expected) then
        end_removed(key, id)
        answer[#answer + 1] = i
        answer[#answer + 1] = 2
    else
        local code = lost(id, owners[i])
        answer[#answer + 1] = i
        answer[#answer + 1] = code
    end
end
return_strays(ARGV[4])

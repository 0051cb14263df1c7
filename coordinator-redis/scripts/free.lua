#!lua flags=allow-oom
-- Ends holds of the migration: their tasks can be claimed, from now on or when they could be. Of
-- tasks that were dropped the note is forgotten.
-- keys: node tasks ready holds fence state messages mail crashes aside later owners
-- ARGV: see holds.lua; then of each task the fence of the hold.
-- Answer: for each 0 (done) or 2 (there is no hold, and no note).
-- include holds.lua
local answer, freed, soonest = {}, {}, nil
local function release(i, id)
    call('DEL', KEYS[OWNERS + i])
    if call('HEXISTS', KEY.tasks, id) == 0 or call('SISMEMBER', KEY.aside, id) == 1 then
        return
    end
    local later = call('ZSCORE', KEY.later, id)
    if later and tonumber(later) > now then
        call('ZADD', KEY.ready, later, id)
        soonest = math.min(soonest or later - now, later - now)
    else
        call('ZREM', KEY.later, id)
        call('ZADD', KEY.ready, stamp, id)
        freed[#freed + 1] = id
    end
end
for i = 1, n do
    local id, fence = id_of(i), ARGV[first + i - 1]
    local note = call('HGET', KEY.holds, id)
    answer[i] = 2
    if note == note_of(fence, 'held') or note == note_of(fence, 'dropped') then
        call('HDEL', KEY.holds, id)
        answer[i] = note == note_of(fence, 'dropped') and 0 or 2
    end
    if owner(i) == owner_of(fence) then
        release(i, id)
        answer[i] = 0
    end
end
if soonest then
    call('PUBLISH', ARGV[4], 'later -\n' .. string.format('%.0f', soonest))
end
if #freed > 0 then
    call('PUBLISH', ARGV[4], 'claimable -\n' .. table.concat(freed, '\n'))
end
return answer

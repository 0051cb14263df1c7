#!lua flags=allow-oom
-- Takes tasks that have no owner for a migration, and reads all that is known of them.
-- keys: node tasks ready holds fence state messages mail crashes aside later owners
-- ARGV: see holds.lua.
-- Answer: for each task 0 (gone), 1 (it has an owner), or the fence, properties, state, "<number>
-- <message>", "<crashes> <ms>" (empty: none), 1 when it is set aside, and the ms until it may be
-- claimed.
-- include holds.lua
local fence = math.max((tonumber(call('GET', KEY.fence)) or 0) + 1, now_us)
if fence > 9007199254740991 then
    return redis.error_reply('DAMAGED the fence counter is out of range')
end
fence = string.format('%.0f', fence)
local answer, taken = {}, {}
local mine = migration .. ' '
for i = 1, n do
    local id, old = id_of(i), owner(i)
    local properties = call('HGET', KEY.tasks, id)
    local held = old and string.sub(old, 1, #mine) == mine
    if not properties then
        answer[i] = 0
    elseif old and not held then
        answer[i] = 1
    else
        local at = held and string.match(old, '^%S+ (%d+)') or fence
        if not held then
            taken[#taken + 1] = id
            call('SET', KEY.fence, fence)
            call('SET', KEYS[OWNERS + i], owner_of(fence))
            call('HSET', KEY.holds, id, note_of(fence, 'held'))
            call('ZREM', KEY.ready, id)
        end
        local later = tonumber(call('ZSCORE', KEY.later, id) or 0)
        answer[i] = { at, properties, call('HGET', KEY.state, id) or '', call('HGET', KEY.messages, id) or '',
            call('HGET', KEY.crashes, id) or '', call('SISMEMBER', KEY.aside, id),
            math.max(math.ceil(later - now), 0) }
    end
end
if #taken > 0 then
    call('PUBLISH', ARGV[4], 'taken -\n' .. table.concat(taken, '\n'))
end
return answer

#!lua flags=allow-oom
-- Removes tasks that the migration holds, with all that belongs to them, and notes that it has; and
-- states of tasks that are gone.
-- keys: node tasks ready holds fence state messages mail crashes aside later owners
-- ARGV: see holds.lua; then of each task the fence of the hold (0: only a state) and the
-- number of the message that was copied (-: any).
-- Answer: for each 0 (dropped), 1 (the hold is not this one), 2 (the task is gone), 3 (another
-- message has come) or 4 (there is a task to the state).
-- include holds.lua
local answer = {}
local function drop_state(id)
    if call('HEXISTS', KEY.tasks, id) == 1 then
        return 4
    end
    call('HDEL', KEY.state, id)
    return 0
end
local function drop(i, id, fence, copied)
    if call('HGET', KEY.holds, id) == note_of(fence, 'dropped') then
        return 0
    elseif call('HEXISTS', KEY.tasks, id) == 0 then
        return 2
    elseif owner(i) ~= owner_of(fence) then
        return 1
    end
    local message = string.match(call('HGET', KEY.messages, id) or '', '^%d+')
    if message and copied ~= '-' and message ~= copied then
        return 3
    end
    call('HSET', KEY.holds, id, note_of(fence, 'dropped'))
    call('DEL', KEYS[OWNERS + i])
    for _, key in ipairs({ KEY.tasks, KEY.state, KEY.messages, KEY.crashes }) do
        call('HDEL', key, id)
    end
    for _, key in ipairs({ KEY.ready, KEY.mail, KEY.later }) do
        call('ZREM', key, id)
    end
    call('SREM', KEY.aside, id)
    return 0
end
for i = 1, n do
    local at = first + 2 * (i - 1)
    if ARGV[at] == '0' then
        answer[i] = drop_state(id_of(i))
    else
        answer[i] = drop(i, id_of(i), ARGV[at], ARGV[at + 1])
    end
end
return answer

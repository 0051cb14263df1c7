-- Stores tasks under a hold of the migration that brings them, or in place of an earlier copy; and
-- states of tasks that are gone.
-- keys: node tasks ready holds fence state messages mail crashes aside later owners
-- ARGV: see holds.lua; then of each task its fence (0: only a state), properties, state,
-- message (empty: none), crashes, 1 when it is set aside, and the ms until it may be claimed.
-- Answer: for each 0 (stored), 1 (there is another one of that id) or 2 (a claim on a removed one is
-- in force).
-- include holds.lua
local answer = {}
local highest = tonumber(call('GET', KEY.fence)) or 0
for i = 1, n do
    highest = math.max(highest, tonumber(ARGV[first + 7 * (i - 1)]))
end
if highest > 9007199254740991 then
    return redis.error_reply('DAMAGED the fence counter is out of range')
end
local number = string.format('%.0f', math.max(highest + 1, now_us))
call('SET', KEY.fence, number)

local function set_or_delete(key, id, value)
    if value ~= '' then
        call('HSET', key, id, value)
    else
        call('HDEL', key, id)
    end
end
local function copy_state(id, state)
    local old = call('HGET', KEY.state, id)
    if call('HEXISTS', KEY.tasks, id) == 1 or (old and old ~= state) then
        return 1
    end
    call('HSET', KEY.state, id, state)
    return 0
end
local function copy(i, id, at)
    local fence, old = ARGV[at], owner(i)
    local ours = old and string.sub(old, 1, #migration + 1) == migration .. ' '
    if call('HEXISTS', KEY.tasks, id) == 1 and not ours then
        return 1
    elseif old and not ours then
        return 2
    end
    call('HSET', KEY.tasks, id, ARGV[at + 1])
    call('SET', KEYS[OWNERS + i], owner_of(fence))
    call('HSET', KEY.holds, id, note_of(fence, 'held'))
    call('ZREM', KEY.ready, id)
    set_or_delete(KEY.state, id, ARGV[at + 2])
    if ARGV[at + 3] ~= '' then
        call('HSET', KEY.messages, id, number .. ' ' .. ARGV[at + 3])
        call('ZADD', KEY.mail, number, id)
    else
        call('HDEL', KEY.messages, id)
        call('ZREM', KEY.mail, id)
    end
    local aside = ARGV[at + 5] == '1'
    local crashes = ARGV[at + 4] ~= '0' or aside
    set_or_delete(KEY.crashes, id, crashes and ARGV[at + 4] .. ' ' .. stamp .. (aside and ' aside' or '') or '')
    call(aside and 'SADD' or 'SREM', KEY.aside, id)
    call('ZREM', KEY.later, id)
    if ARGV[at + 6] ~= '0' then
        call('ZADD', KEY.later, string.format('%.0f', now + ARGV[at + 6]), id)
    end
    return 0
end
for i = 1, n do
    local at = first + 7 * (i - 1)
    if ARGV[at] == '0' then
        answer[i] = copy_state(id_of(i), ARGV[at + 2])
    else
        answer[i] = copy(i, id_of(i), at)
    end
end
return answer

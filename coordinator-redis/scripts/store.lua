-- Writes states of tasks that a session owns, token and fence, and forgets messages that were dealt
-- with.
-- keys: node tasks state messages mail owners
-- ARGV: token, epoch, node's name, where the id begins in an owner key, then for each task its fence,
-- the number of the message (0: none) and the state (empty: it stays as it is).
-- Answer: for each task that was refused its place and 1 (not the owner) or 2 (task gone).
-- include session.lua
-- include owner.lua
local from = tonumber(ARGV[4])
call('HLEN', KEY.state)
call('ZCARD', KEY.mail)
local owners = call('MGET', unpack(KEYS, OWNERS + 1))
local answer, states = {}, {}
for i = 1, #KEYS - OWNERS do
    local id, at = string.sub(KEYS[OWNERS + i], from), 2 + 3 * i
    local expected = owner_record(token, ARGV[at], ARGV[3])
    if owners[i] == expected and call('HEXISTS', KEY.tasks, id) == 1 then
        if ARGV[at + 2] ~= '' then
            states[#states + 1] = id
            states[#states + 1] = ARGV[at + 2]
        end
        if ARGV[at + 1] ~= '0' then
            local number = string.match(call('HGET', KEY.messages, id) or '', '^%d+')
            if number and tonumber(number) <= tonumber(ARGV[at + 1]) then
                call('HDEL', KEY.messages, id)
                call('ZREM', KEY.mail, id)
            end
        end
    else
        local gone = owners[i] == of_removed(expected) or call('HEXISTS', KEY.tasks, id) == 0
        answer[#answer + 1] = i
        answer[#answer + 1] = gone and 2 or 1
    end
end
if #states > 0 then
    call('HSET', KEY.state, unpack(states))
end
return answer

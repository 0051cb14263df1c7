-- Writes states of tasks that a session owns, token and fence, and forgets messages that were dealt
-- with.
-- KEYS: node, tasks, state, messages, mail, then an owner key for each task.
-- ARGV: token, epoch, node's name, where the id begins in an owner key, then for each task its fence,
-- the number of the message (0: none) and the state (empty: it stays as it is).
-- Answer: for each task that was refused its place and 1 (not the owner) or 2 (task gone).
-- include session.lua
local fixed, from = 5, tonumber(ARGV[4])
local mine, suffix = token .. ' ', ' ' .. ARGV[3]
call('HLEN', KEYS[3])
call('ZCARD', KEYS[5])
local owners = call('MGET', unpack(KEYS, fixed + 1))
local answer, states = {}, {}
for i = 1, #KEYS - fixed do
    local id, at = string.sub(KEYS[fixed + i], from), 2 + 3 * i
    local expected = mine .. ARGV[at] .. suffix
    if owners[i] == expected and call('HEXISTS', KEYS[2], id) == 1 then
        if ARGV[at + 2] ~= '' then
            states[#states + 1] = id
            states[#states + 1] = ARGV[at + 2]
        end
        if ARGV[at + 1] ~= '0' then
            local number = string.match(call('HGET', KEYS[4], id) or '', '^%d+')
            if number and tonumber(number) <= tonumber(ARGV[at + 1]) then
                call('HDEL', KEYS[4], id)
                call('ZREM', KEYS[5], id)
            end
        end
    else
        local gone = owners[i] == 'removed ' .. expected or call('HEXISTS', KEYS[2], id) == 0
        answer[#answer + 1] = i
        answer[#answer + 1] = gone and 2 or 1
    end
end
if #states > 0 then
    call('HSET', KEYS[3], unpack(states))
end
return answer

-- Stores a message for each of some tasks, in place of one that was not read, and hints the owners'
-- nodes. A message's number, which is its place in the order of all of them too, comes from the fence
-- counter.
-- keys: submitted tasks messages mail fence moved owners
-- ARGV: how long to remember the answer in ms, where the id begins in an owner key, beginning of the
-- nodes' hint channels, then a message for each task.
-- Answer: as of submit.lua, 1 (stored) or 0 (no such task).
-- include clock.lua
-- include away.lua
local call = redis.call
-- include owner.lua
local answer = call('GET', KEY.submitted)
if answer then
    return answer
end
local refusal = away(KEY.moved)
if refusal then
    return refusal
end
local from = tonumber(ARGV[2])
local number = math.max((tonumber(call('GET', KEY.fence)) or 0) + 1, now_us)
if number > 9007199254740991 then
    return redis.error_reply('DAMAGED the fence counter is out of range')
end
number = string.format('%.0f', number)
call('HLEN', KEY.messages)
call('ZCARD', KEY.mail)
call('SET', KEY.fence, number)
local results, nodes = {}, {}
for i = 1, #KEYS - OWNERS do
    local key = KEYS[OWNERS + i]
    local id = string.sub(key, from)
    results[i] = call('HEXISTS', KEY.tasks, id)
    if results[i] == 1 then
        call('HSET', KEY.messages, id, number .. ' ' .. ARGV[3 + i])
        call('ZADD', KEY.mail, number, id)
        local owner = redis.pcall('GET', key)
        local node = type(owner) == 'string' and node_in(owner)
        if node then
            nodes[node] = true
        end
    end
end
for node in pairs(nodes) do
    call('PUBLISH', ARGV[3] .. node, 'mail -')
end
answer = table.concat(results)
call('SET', KEY.submitted, answer, 'PX', ARGV[1])
return answer

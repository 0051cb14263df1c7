-- Stores a message for each of some tasks, in place of one that was not read, and hints the owners'
-- nodes. A message's number, which is its place in the order of all of them too, comes from the fence
-- counter.
-- KEYS: submitted, tasks, messages, mail, fence, then an owner key for each task.
-- ARGV: how long to remember the answer in ms, where the id begins in an owner key, beginning of the
-- nodes' hint channels, then a message for each task.
-- Answer: as of submit.lua, 1 (stored) or 0 (no such task).
-- include clock.lua
local call = redis.call
local answer = call('GET', KEYS[1])
if answer then
    return answer
end
local fixed, from = 5, tonumber(ARGV[2])
local number = math.max((tonumber(call('GET', KEYS[5])) or 0) + 1, now_us)
if number > 9007199254740991 then
    return redis.error_reply('DAMAGED the fence counter is out of range')
end
number = string.format('%.0f', number)
call('HLEN', KEYS[3])
call('ZCARD', KEYS[4])
call('SET', KEYS[5], number)
local results, nodes = {}, {}
for i = 1, #KEYS - fixed do
    local key = KEYS[fixed + i]
    local id = string.sub(key, from)
    results[i] = call('HEXISTS', KEYS[2], id)
    if results[i] == 1 then
        call('HSET', KEYS[3], id, number .. ' ' .. ARGV[3 + i])
        call('ZADD', KEYS[4], number, id)
        local owner = redis.pcall('GET', key)
        local node = type(owner) == 'string' and string.match(owner, '^%x+ %d+ (.*)$')
        if node then
            nodes[node] = true
        end
    end
end
for node in pairs(nodes) do
    call('PUBLISH', ARGV[3] .. node, 'mail -')
end
answer = table.concat(results)
call('SET', KEYS[1], answer, 'PX', ARGV[1])
return answer

-- The live nodes.
-- KEYS: sessions, nodes, counts.
-- Answer: for each node "<weight> <name>" and the number of tasks that it holds.
-- include clock.lua
local call = redis.call
local tokens = call('ZRANGE', KEYS[1], '(' .. stamp, '+inf', 'BYSCORE')
local answer = {}
for from = 1, #tokens, 256 do
    local to = math.min(from + 255, #tokens)
    local nodes = call('HMGET', KEYS[2], unpack(tokens, from, to))
    local counts = call('HMGET', KEYS[3], unpack(tokens, from, to))
    for i = 1, to - from + 1 do
        if nodes[i] then
            answer[#answer + 1] = nodes[i]
            answer[#answer + 1] = tonumber(counts[i]) or 0
        end
    end
end
return answer

-- The live nodes.
-- keys: sessions nodes counts
-- ARGV: hint channel on which to publish the answer too, or empty.
-- Answer: a line "<token> <tasks> <weight> <name>" for each node.
-- include clock.lua
local call = redis.call
local tokens = call('ZRANGE', KEY.sessions, '(' .. stamp, '+inf', 'BYSCORE')
local lines = {}
for from = 1, #tokens, 256 do
    local to = math.min(from + 255, #tokens)
    local nodes = call('HMGET', KEY.nodes, unpack(tokens, from, to))
    local counts = call('HMGET', KEY.counts, unpack(tokens, from, to))
    for i = 1, to - from + 1 do
        if nodes[i] then
            lines[#lines + 1] = tokens[from + i - 1] .. ' ' .. (counts[i] or '0') .. ' ' .. nodes[i]
        end
    end
end
local answer = table.concat(lines, '\n')
if ARGV[1] ~= '' then
    call('PUBLISH', ARGV[1], 'nodes -\n' .. answer)
end
return answer

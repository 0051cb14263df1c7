#!lua flags=allow-oom
-- Reads the commands of a node, oldest first, and forgets those that were read before.
-- keys: node commands fence
-- ARGV: token, epoch, the last sequence number to forget, how many at most, how long they live in ms.
-- Answer: how many were dropped because no sequence number was ever as high as theirs; then
-- command and sequence number of each.
-- include session.lua
-- include clock.lua
local newest = math.max(tonumber(call('GET', KEY.fence)) or 0, now_us)
local oldest = math.max(tonumber(ARGV[3]), now_us - ARGV[5] * 1000)
call('ZREMRANGEBYSCORE', KEY.commands, '-inf', oldest)
local dropped = call('ZREMRANGEBYSCORE', KEY.commands, '(' .. string.format('%.0f', newest), '+inf')
local answer = call('ZRANGE', KEY.commands, 0, ARGV[4] - 1, 'WITHSCORES')
table.insert(answer, 1, dropped)
return answer

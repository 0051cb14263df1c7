-- A page of tasks that may be claimed.
-- KEYS: ready.
-- ARGV: cursor, how many about.
-- Answer: the next cursor, then ids.
-- include clock.lua
local page = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local answer, entries = { page[1] }, page[2]
for i = 1, #entries, 2 do
    if tonumber(entries[i + 1]) <= now then
        answer[#answer + 1] = entries[i]
    end
end
return answer

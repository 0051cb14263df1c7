-- Stores new tasks.
-- KEYS: submitted, tasks, ready, removed.
-- ARGV: hint channel, how long to remember the answer in ms, then id and properties of each task.
-- Answer: a character for each task, 1 (stored) or 0 (there was one of that id). The answer is kept
-- under the request's token, so that a repeated request gets it again.
-- include clock.lua
local call = redis.call
local answer = call('GET', KEYS[1])
if answer then
    return answer
end
call('ZCARD', KEYS[3])
local some_removed = call('ZCARD', KEYS[4]) > 0
local results, ids, entries = {}, {}, {}
for i = 3, #ARGV, 2 do
    local id = ARGV[i]
    local stored = call('HSETNX', KEYS[2], id, ARGV[i + 1])
    results[#results + 1] = stored
    if stored == 1 then
        local over = some_removed and call('ZSCORE', KEYS[4], id)
        local from = stamp
        if over and tonumber(over) > now then
            from = over -- until then a claim on a removed task of that id is in force
        else
            ids[#ids + 1] = id
        end
        entries[#entries + 1] = from
        entries[#entries + 1] = id
    end
end
answer = table.concat(results)
call('SET', KEYS[1], answer, 'PX', ARGV[2])
if #entries > 0 then
    call('ZADD', KEYS[3], unpack(entries))
end
if #ids > 0 then
    call('PUBLISH', ARGV[1], 'claimable -\n' .. table.concat(ids, '\n'))
end
return answer

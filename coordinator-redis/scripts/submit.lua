-- Stores new tasks.
-- keys: submitted tasks ready removed later moved
-- ARGV: hint channel, how long to remember the answer in ms, how many tasks, then id and properties
-- of each, then for those that are not to be claimed at once pairs of place and ms until then.
-- Answer: a character for each task, 1 (stored) or 0 (there was one of that id). The answer is kept
-- under the request's token, so that a repeated request gets it again.
-- include clock.lua
-- include away.lua
local call = redis.call
local answer = call('GET', KEY.submitted)
if answer then
    return answer
end
local refusal = away(KEY.moved)
if refusal then
    return refusal
end
call('ZCARD', KEY.ready)
local some_removed = call('ZCARD', KEY.removed) > 0
local results, ids, entries, later = {}, {}, {}, {}
local n, delays, soonest = tonumber(ARGV[3]), {}, nil
for i = 4 + 2 * n, #ARGV, 2 do
    delays[tonumber(ARGV[i])] = tonumber(ARGV[i + 1])
end
for place = 1, n do
    local i = 2 + 2 * place
    local id = ARGV[i]
    local stored = call('HSETNX', KEY.tasks, id, ARGV[i + 1])
    results[#results + 1] = stored
    if stored == 1 then
        local over = some_removed and call('ZSCORE', KEY.removed, id)
        local from, delay = stamp, delays[place]
        if delay then
            from = string.format('%.0f', now + delay)
            soonest = math.min(soonest or delay, delay)
            later[#later + 1] = from
            later[#later + 1] = id
        end
        if over and tonumber(over) > math.max(now, tonumber(from)) then
            from = over -- until then a claim on a removed task of that id is in force
        elseif not delay then
            ids[#ids + 1] = id
        end
        entries[#entries + 1] = from
        entries[#entries + 1] = id
    end
end
answer = table.concat(results)
call('SET', KEY.submitted, answer, 'PX', ARGV[2])
if #entries > 0 then
    call('ZADD', KEY.ready, unpack(entries))
end
if #later > 0 then
    call('ZADD', KEY.later, unpack(later))
    call('PUBLISH', ARGV[1], 'later -\n' .. string.format('%.0f', soonest))
end
if #ids > 0 then
    call('PUBLISH', ARGV[1], 'claimable -\n' .. table.concat(ids, '\n'))
end
return answer

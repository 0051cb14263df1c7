#!lua flags=allow-oom
-- Makes tasks of a session claimable. Keys, arguments and answer: see ending.lua.
-- include ending.lua
if #ids > 0 then
    local entries = {}
    for i = 1, #ids do
        entries[2 * i - 1] = stamp
        entries[2 * i] = ids[i]
    end
    call('DEL', unpack(keys))
    call('SREM', KEY.held, unpack(ids))
    call('HDEL', KEY.crashes, unpack(ids))
    call('ZADD', KEY.ready, unpack(entries))
end
local left = call('SCARD', KEY.held)
call('HSET', KEY.counts, token, left)
if #ids > 0 then
    call('PUBLISH', ARGV[4], 'claimable ' .. token .. ' ' .. left .. '\n' .. table.concat(ids, '\n'))
end
return answer

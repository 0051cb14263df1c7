#!lua flags=allow-oom
-- Removes finished tasks of a session for good. Keys, arguments and answer: see ending.lua.
-- include ending.lua
if #ids > 0 then
    call('DEL', unpack(keys))
    call('HDEL', KEY.tasks, unpack(ids))
    call('ZREM', KEY.ready, unpack(ids))
    call('SREM', KEY.held, unpack(ids))
    call('HDEL', KEY.crashes, unpack(ids))
    call('HDEL', KEY.messages, unpack(ids))
    call('ZREM', KEY.mail, unpack(ids))
end
call('HSET', KEY.counts, token, call('SCARD', KEY.held))
return answer

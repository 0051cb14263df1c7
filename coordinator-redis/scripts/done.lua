#!lua flags=allow-oom
-- Removes finished tasks of a session for good. Keys, arguments and answer: see ending.lua.
-- include ending.lua
if #ids > 0 then
    call('DEL', unpack(keys))
    call('HDEL', KEYS[2], unpack(ids))
    call('ZREM', KEYS[3], unpack(ids))
    call('SREM', KEYS[4], unpack(ids))
    call('HDEL', KEYS[7], unpack(ids))
    call('HDEL', KEYS[8], unpack(ids))
    call('ZREM', KEYS[9], unpack(ids))
end
call('HSET', KEYS[5], token, call('SCARD', KEYS[4]))
return answer

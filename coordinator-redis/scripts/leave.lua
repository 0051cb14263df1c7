#!lua flags=allow-oom
-- Ends a session. What it still holds is given back by reap.lua.
-- KEYS: node, sessions, left.
-- ARGV: token, epoch, how long to remember in ms that it has left, for a delayed join.
-- Answer: 1 when there is something to give back, else 0.
local call = redis.call
local session = call('HMGET', KEYS[1], 'token', 'epoch')
if session[1] == ARGV[1] then
    if tonumber(ARGV[2]) < (tonumber(session[2]) or 0) then
        return redis.error_reply('STALE the session has joined again since')
    end
    call('DEL', KEYS[1])
end
call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
call('ZADD', KEYS[2], 'XX', 0, ARGV[1])
return call('ZSCORE', KEYS[2], ARGV[1]) and 1 or 0

#!lua flags=allow-oom
-- Ends a session. What it still holds is given back by reap.lua.
-- keys: node sessions left
-- ARGV: token, epoch, how long to remember in ms that it has left, for a delayed join.
-- Answer: 1 when there is something to give back, else 0.
local call = redis.call
local session = call('HMGET', KEY.node, 'token', 'epoch')
if session[1] == ARGV[1] then
    if tonumber(ARGV[2]) < (tonumber(session[2]) or 0) then
        return redis.error_reply('STALE the session has joined again since')
    end
    call('DEL', KEY.node)
end
call('SET', KEY.left, ARGV[2], 'PX', ARGV[3])
call('ZADD', KEY.sessions, 'XX', 0, ARGV[1])
return call('ZSCORE', KEY.sessions, ARGV[1]) and 1 or 0

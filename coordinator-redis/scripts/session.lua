-- Included first by the scripts of a session. ARGV[1] is the token, ARGV[2] the epoch. A request of an older epoch was overtaken by a later join and is refused.
local call = redis.call
local token = ARGV[1]
local session = call('HMGET', KEY.node, 'token', 'epoch')
local known = tonumber(session[2])
local epoch = tonumber(ARGV[2])
if session[1] ~= token or not known or epoch > known then
    return redis.error_reply('NOSESSION the session has lapsed')
end
if epoch < known then
    return redis.error_reply('STALE the session has joined again since')
end

#!lua flags=allow-oom
-- Finds sessions that have lapsed or ended, notes when all have, and hints tasks that were submitted
-- for a time that has come.
-- keys: sessions later outage
-- ARGV: how many sessions at most, hint channel, how many tasks at most.
-- Answer: ms until the next session lapses (-1: there is none), ms until the next task's time (-1:
-- likewise), then the tokens.
-- include clock.lua
local call = redis.call
-- include outage.lua
note_outage()
local answer = call('ZRANGE', KEY.sessions, '-inf', stamp, 'BYSCORE', 'LIMIT', 0, ARGV[1])
local later = call('ZRANGE', KEY.sessions, '(' .. stamp, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
table.insert(answer, 1, later[2] and math.floor(later[2] - now) or -1)
local due = call('ZRANGE', KEY.later, '-inf', stamp, 'BYSCORE', 'LIMIT', 0, ARGV[3])
if #due > 0 then
    call('ZREM', KEY.later, unpack(due))
    call('PUBLISH', ARGV[2], 'claimable -\n' .. table.concat(due, '\n'))
end
local next = call('ZRANGE', KEY.later, 0, 0, 'WITHSCORES')[2]
table.insert(answer, 2, next and math.max(math.ceil(next - now), 0) or -1)
return answer

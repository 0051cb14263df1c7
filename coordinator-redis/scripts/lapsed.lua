-- Finds sessions that have lapsed or ended.
-- KEYS: sessions.
-- ARGV: how many at most.
-- Answer: ms until the next one lapses (-1: there is none), then the tokens.
-- include clock.lua
local answer = redis.call('ZRANGE', KEYS[1], '-inf', stamp, 'BYSCORE', 'LIMIT', 0, ARGV[1])
local later = redis.call('ZRANGE', KEYS[1], '(' .. stamp, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
table.insert(answer, 1, later[2] and math.floor(later[2] - now) or -1)
return answer

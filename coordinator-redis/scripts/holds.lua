-- Included by the scripts of a migration. A hold is an owner key without an expiry,
-- "<migration> <fence> _migration", and an entry "<migration> <fence> held" in the hash of holds; of
-- a task that was dropped that entry stays, as "<migration> <fence> dropped".
-- ARGV: token, epoch, migration, hint channel, where the id begins in an owner key, then what each
-- script says.
-- include session.lua
-- include clock.lua
local first = 6
local migration, from = ARGV[3], tonumber(ARGV[5])
local n = #KEYS - OWNERS
local function id_of(i)
    return string.sub(KEYS[OWNERS + i], from)
end
local function owner_of(fence)
    return migration .. ' ' .. fence .. ' _migration'
end
local function note_of(fence, stage)
    return migration .. ' ' .. fence .. ' ' .. stage
end
-- False as well where the key is no string.
local function owner(i)
    local value = redis.pcall('GET', KEYS[OWNERS + i])
    return type(value) == 'table' and 'damaged' or value
end
call('ZCARD', KEY.ready)
call('HLEN', KEY.holds)

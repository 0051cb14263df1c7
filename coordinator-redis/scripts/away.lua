-- Included by what a namespace that moves to another broker refuses. The mark is
-- "<migration> <phase> <URL>", phases from 2 on are of a namespace that moves as a whole.
local function moving(key)
    local phase, url = string.match(redis.call('GET', key) or '', '^%S+ (%d) (.*)$')
    return phase and tonumber(phase) >= 2 and url
end
local function away(key)
    local url = moving(key)
    return url and redis.error_reply('AWAY the namespace has moved to ' .. url)
end

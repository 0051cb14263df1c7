-- Messages for tasks that a session holds.
-- keys: node mail messages held
-- ARGV: token, epoch, the place after which to read, how many places at most.
-- Answer: the last place, empty when there was none; 1 when more follow, else 0; then id and
-- "<number> <message>" of each.
-- include session.lua
local limit = tonumber(ARGV[4])
local page = call('ZRANGE', KEY.mail, '(' .. ARGV[3], '+inf', 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
local count = #page / 2
if count == 0 then
    return { '', 0 }
end
local last, more = page[#page], 0
local ids = {}
for i = 1, count do
    ids[i] = page[2 * i - 1]
end
if count == limit then
    -- Those at one place are not torn apart.
    more = 1
    while #ids > 0 and page[2 * #ids] == last do
        ids[#ids] = nil
    end
    for _, id in ipairs(call('ZRANGE', KEY.mail, last, last, 'BYSCORE')) do
        ids[#ids + 1] = id
    end
end
local answer, held = { last, more }, call('SMISMEMBER', KEY.held, unpack(ids))
for i = 1, #ids do
    local message = held[i] == 1 and call('HGET', KEY.messages, ids[i])
    if message then
        answer[#answer + 1] = ids[i]
        answer[#answer + 1] = message
    end
end
return answer

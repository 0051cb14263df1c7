#!lua flags=allow-oom
-- Claims tasks for a session.
-- keys: node sessions tasks ready held counts fence mail aside later owners
-- ARGV: token, epoch, lease in ms, node's name, hint channel, where the id begins in an owner key,
-- the node's hint channel.
-- Answer: for each task its properties (granted), nil (gone), 1 (taken), 2 (owner key damaged), 3 (it
-- was listed as claimable without being a task) or 4 (not looked at, for the answer is long enough:
-- ask again); then the fence of what was granted; then, for tasks that the session held already,
-- pairs of place and fence.
-- include session.lua
-- include clock.lua
-- include owner.lua
local sub, pcall = string.sub, redis.pcall
local lease, from = ARGV[3], tonumber(ARGV[6])
local fence = math.max((tonumber(call('GET', KEY.fence)) or 0) + 1, now_us)
if fence > 9007199254740991 then
    return redis.error_reply('DAMAGED the fence counter is out of range')
end
fence = string.format('%.0f', fence)
local expiry = string.format('%.0f', now + lease)
local owner = owner_record(token, fence, ARGV[4])

local ids = {}
for i = OWNERS + 1, #KEYS do
    ids[i - OWNERS] = sub(KEYS[i], from)
end
local n = #ids
call('ZCARD', KEY.ready)
local mailed = call('ZCARD', KEY.mail) > 0
local aside = call('SCARD', KEY.aside) > 0 and call('SMISMEMBER', KEY.aside, unpack(ids))
local later = call('ZCARD', KEY.later) > 0 and call('ZMSCORE', KEY.later, unpack(ids))
local held = call('SCARD', KEY.held)

-- Properties, in helpings that are small unless these are, until the answer is long. At least one.
local longest, short = 1048576, 4096
local answer, looked, bytes = {}, 0, 0
while looked < n and bytes < longest do
    local helping = looked > 0 and bytes < looked * short and 64 or 4
    local some = call('HMGET', KEY.tasks, unpack(ids, looked + 1, math.min(looked + helping, n)))
    for i = 1, #some do
        local properties = some[i]
        answer[looked + i] = properties
        bytes = bytes + (properties and #properties or 0)
    end
    looked = looked + #some
end
for i = looked + 1, n do
    answer[i] = 4
end
answer[n + 1] = fence

local granted, last = {}, n + 1
for i = 1, looked do
    if answer[i] and aside and aside[i] == 1 then
        answer[i] = 1
    elseif answer[i] and later and later[i] and tonumber(later[i]) > now then
        answer[i] = 1
    elseif answer[i] then
        local key = KEYS[OWNERS + i]
        local old = pcall('SET', key, owner, 'NX', 'GET', 'PXAT', expiry)
        if not old then
            granted[#granted + 1] = ids[i]
        elseif type(old) ~= 'string' then
            if sub(old.err, 1, 9) ~= 'WRONGTYPE' then
                return old
            end
            answer[i] = 2
        elseif is_owned_by(old, token) then
            call('PEXPIREAT', key, expiry)
            granted[#granted + 1] = ids[i]
            answer[last + 1] = i
            answer[last + 2] = fence_in(old) or '0'
            last = last + 2
        else
            answer[i] = 1
        end
    elseif call('ZREM', KEY.ready, ids[i]) == 1 then
        answer[i] = 3
    end
end

if #granted > 0 then
    call('SET', KEY.fence, fence)
    call('ZREM', KEY.ready, unpack(granted))
    if later then
        call('ZREM', KEY.later, unpack(granted)) -- a clock that goes back must not hide them again
    end
    held = held + call('SADD', KEY.held, unpack(granted))
    call('HSET', KEY.counts, token, held)
    call('PEXPIRE', KEY.node, lease)
    call('ZADD', KEY.sessions, now + lease, token)
    call('PUBLISH', ARGV[5], 'taken ' .. token .. ' ' .. held .. '\n' .. table.concat(granted, '\n'))
end
if mailed and #granted > 0 then
    -- Messages of these tasks get a new place, for this session to find them.
    local places = {}
    for i = 1, #granted do
        places[2 * i - 1] = fence
        places[2 * i] = granted[i]
    end
    if call('ZADD', KEY.mail, 'XX', 'CH', unpack(places)) > 0 then
        call('PUBLISH', ARGV[7], 'mail -')
    end
end
return answer

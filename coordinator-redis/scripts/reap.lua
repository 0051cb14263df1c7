#!lua flags=allow-oom
-- Gives back what a lapsed or ended session held, some tasks a call.
-- The session's score is 0 when it has left, -1 when it was taken over; what it held when it did not
-- leave was a crash to the task, of which one that had too many in a row is set aside. A session that
-- lapsed may come back: whom it charged is noted, see pardon.lua.
-- KEYS: sessions, held, tasks, ready, counts, nodes, crashes, aside, later, outage, charged, then an
-- owner key for each task of this call.
-- ARGV: token, hint channel, where the id begins in an owner key, how many ids to answer, how many
-- crashes set a task aside (0: none do), over how many ms the claims after a second crash are spread,
-- for how many ms charges are noted.
-- Answer: how many were given back or dropped; ms to wait before the session, or a claim that
-- outlives it, can have ended (0: no need to); then ids for the next call, none when all is done.
-- include clock.lua
local call, sub = redis.call, string.sub
local fixed, token, from = 11, ARGV[1], tonumber(ARGV[3])
local most, spread = tonumber(ARGV[5]), tonumber(ARGV[6])
local freed, charged, soonest = {}, {}, nil
local expiry = tonumber(call('ZSCORE', KEYS[1], token))
if expiry and expiry > now then
    return { 0, math.ceil(expiry - now) }
end
call('ZCARD', KEYS[4])
-- Before the tasks, for others to know that there is room to fill; by the first who comes.
if call('HDEL', KEYS[6], token) == 1 then
    call('PUBLISH', ARGV[2], 'gone ' .. token .. '\n')
end

local ended, left, mine = expiry and expiry <= 0, expiry == 0, token .. ' '
local outage = tonumber(call('GET', KEYS[10])) or 0
local charges = most > 0 and not left and (ended or not expiry or expiry > outage)
-- Counts a crash: nil when there were too many, else the ms until the task may be claimed again,
-- which depend on its id.
local function crashed(id)
    local count = (tonumber(string.match(call('HGET', KEYS[7], id) or '', '^%d+')) or 0) + 1
    local aside = count >= most
    charged[#charged + 1] = id
    call('HSET', KEYS[7], id, string.format('%.0f %.0f%s', count, now, aside and ' aside' or ''))
    if aside then
        call('SADD', KEYS[8], id)
        return nil
    end
    local share = tonumber(sub(redis.sha1hex(id .. count), 1, 8), 16) / 4294967296
    return count < 2 and 0 or math.ceil(share * spread * 2 ^ math.min(count - 2, 10))
end

-- Makes a task claimable that nobody owns.
local function free(id, pause)
    if pause > 0 then
        local at = string.format('%.0f', now + pause)
        call('ZADD', KEYS[4], at, id)
        call('ZADD', KEYS[9], at, id)
        soonest = math.min(soonest or pause, pause)
    else
        call('ZADD', KEYS[4], stamp, id)
        freed[#freed + 1] = id
    end
end

local ids, dropped, wait = {}, 0, 0
for i = fixed + 1, #KEYS do
    ids[#ids + 1] = sub(KEYS[i], from)
end
if #ids > 0 then
    local held = call('SMISMEMBER', KEYS[2], unpack(ids))
    local owners = call('MGET', unpack(KEYS, fixed + 1))
    for i = 1, #ids do
        local owner, key = owners[i], KEYS[fixed + i]
        if owner and sub(owner, 1, 8) == 'removed ' then
            owner = sub(owner, 9)
        end
        local own = owner and sub(owner, 1, #mine) == mine
        if own and ended then
            call('DEL', key)
            own, owner = false, false
        end
        if held[i] == 1 then
            if own then
                -- Without an expiry it is waited for as well, but it will not come soon.
                local ms = call('PTTL', key)
                ms = ms < 0 and 10000 or math.max(ms, 1)
                wait = wait == 0 and ms or math.min(wait, ms)
            else
                call('SREM', KEYS[2], ids[i])
                dropped = dropped + 1
                if not owner and call('HEXISTS', KEYS[3], ids[i]) == 1 then
                    if left then
                        call('HDEL', KEYS[7], ids[i])
                    end
                    local pause = 0
                    if charges then
                        pause = crashed(ids[i])
                    end
                    if pause then
                        free(ids[i], pause)
                    end
                end
            end
        end
    end
end
if #charged > 0 then
    call('SADD', KEYS[11], unpack(charged))
    call('PEXPIRE', KEYS[11], ARGV[7])
end
if soonest then
    call('PUBLISH', ARGV[2], 'later -\n' .. string.format('%.0f', soonest))
end
if #freed > 0 then
    call('PUBLISH', ARGV[2], 'claimable -\n' .. table.concat(freed, '\n'))
end

local answer = call('SRANDMEMBER', KEYS[2], ARGV[4])
if #answer == 0 then
    call('ZREM', KEYS[1], token)
    call('HDEL', KEYS[5], token)
else
    call('HSET', KEYS[5], token, call('SCARD', KEYS[2]))
end
table.insert(answer, 1, dropped)
table.insert(answer, 2, wait)
return answer

#!lua flags=allow-oom
-- Gives back what a lapsed or ended session held, some tasks a call.
-- The session's score is 0 when it has left, -1 when it was taken over; what it held when it did not
-- leave was a crash to the task, of which one that had too many in a row is set aside. A session that
-- lapsed may come back: whom it charged is noted, see pardon.lua.
-- keys: sessions held tasks ready counts nodes crashes aside later outage charged owners
-- ARGV: token, hint channel, where the id begins in an owner key, how many ids to answer, how many
-- crashes set a task aside (0: none do), over how many ms the claims after a second crash are spread,
-- for how many ms charges are noted.
-- Answer: how many were given back or dropped; ms to wait before the session, or a claim that
-- outlives it, can have ended (0: no need to); then ids for the next call, none when all is done.
-- include clock.lua
local call, sub = redis.call, string.sub
-- include owner.lua
local token, from = ARGV[1], tonumber(ARGV[3])
local most, spread = tonumber(ARGV[5]), tonumber(ARGV[6])
local freed, charged, soonest = {}, {}, nil
local expiry = tonumber(call('ZSCORE', KEY.sessions, token))
if expiry and expiry > now then
    return { 0, math.ceil(expiry - now) }
end
call('ZCARD', KEY.ready)
-- Before the tasks, for others to know that there is room to fill; by the first who comes.
if call('HDEL', KEY.nodes, token) == 1 then
    call('PUBLISH', ARGV[2], 'gone ' .. token .. '\n')
end

local ended, left = expiry and expiry <= 0, expiry == 0
local outage = tonumber(call('GET', KEY.outage)) or 0
local charges = most > 0 and not left and (ended or not expiry or expiry > outage)
-- Counts a crash: nil when there were too many, else the ms until the task may be claimed again,
-- which depend on its id.
local function crashed(id)
    local count = (tonumber(string.match(call('HGET', KEY.crashes, id) or '', '^%d+')) or 0) + 1
    local aside = count >= most
    charged[#charged + 1] = id
    call('HSET', KEY.crashes, id, string.format('%.0f %.0f%s', count, now, aside and ' aside' or ''))
    if aside then
        call('SADD', KEY.aside, id)
        return nil
    end
    local share = tonumber(sub(redis.sha1hex(id .. count), 1, 8), 16) / 4294967296
    return count < 2 and 0 or math.ceil(share * spread * 2 ^ math.min(count - 2, 10))
end

-- Makes a task claimable that nobody owns.
local function free(id, pause)
    if pause > 0 then
        local at = string.format('%.0f', now + pause)
        call('ZADD', KEY.ready, at, id)
        call('ZADD', KEY.later, at, id)
        soonest = math.min(soonest or pause, pause)
    else
        call('ZADD', KEY.ready, stamp, id)
        freed[#freed + 1] = id
    end
end

local ids, dropped, wait = {}, 0, 0
for i = OWNERS + 1, #KEYS do
    ids[#ids + 1] = sub(KEYS[i], from)
end
if #ids > 0 then
    local held = call('SMISMEMBER', KEY.held, unpack(ids))
    local owners = call('MGET', unpack(KEYS, OWNERS + 1))
    for i = 1, #ids do
        local owner, key = owners[i], KEYS[OWNERS + i]
        local own = owner and is_owned_by(unmarked(owner), token)
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
                call('SREM', KEY.held, ids[i])
                dropped = dropped + 1
                if not owner and call('HEXISTS', KEY.tasks, ids[i]) == 1 then
                    if left then
                        call('HDEL', KEY.crashes, ids[i])
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
    call('SADD', KEY.charged, unpack(charged))
    call('PEXPIRE', KEY.charged, ARGV[7])
end
if soonest then
    call('PUBLISH', ARGV[2], 'later -\n' .. string.format('%.0f', soonest))
end
if #freed > 0 then
    call('PUBLISH', ARGV[2], 'claimable -\n' .. table.concat(freed, '\n'))
end

local answer = call('SRANDMEMBER', KEY.held, ARGV[4])
if #answer == 0 then
    call('ZREM', KEY.sessions, token)
    call('HDEL', KEY.counts, token)
else
    call('HSET', KEY.counts, token, call('SCARD', KEY.held))
end
table.insert(answer, 1, dropped)
table.insert(answer, 2, wait)
return answer

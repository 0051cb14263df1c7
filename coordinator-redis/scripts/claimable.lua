-- A page of tasks that may be claimed, those that have waited longest first.
-- keys: ready later removed
-- ARGV: score and id of the last task of the page before, empty for the first page; how many.
-- Answer: ids, then the score of the last one, empty when no page follows, and how many there are on
-- all pages.
-- include clock.lua
local call = redis.call
local ready, score, id, limit = KEY.ready, ARGV[1], ARGV[2], tonumber(ARGV[3])

-- The place behind the last page. Its last task may be gone, or be back with another score; then a
-- name that sorts right behind it finds the place.
local function place()
    if score == '' then
        return 0
    end
    if call('ZSCORE', ready, id) == score then
        return call('ZRANK', ready, id) + 1
    end
    local mark = id .. '\0'
    local added = redis.pcall('ZADD', ready, 'NX', score, mark)
    if added ~= 1 then
        return call('ZCOUNT', ready, '-inf', '(' .. score) -- memory is out: some come again
    end
    local rank = call('ZRANK', ready, mark)
    call('ZREM', ready, mark)
    return rank
end

-- The last id goes into the next page's cursor, which has no room for what is no id.
local function fits(last)
    return #last <= 255 and not string.find(last, '%z')
end

-- Whether the task waits for its time, or for the end of the claim on the one that was removed.
local function waits(id)
    local at = call('ZSCORE', KEY.later, id) or call('ZSCORE', KEY.removed, id)
    return at and tonumber(at) > now
end

-- Tasks that wait come last. So do others when the server's clock has gone back since they were
-- listed: then there are more than those for later.
local function are_others_behind()
    return call('ZCOUNT', ready, '(' .. stamp, '+inf') > call('ZCOUNT', KEY.later, '(' .. stamp, '+inf')
end

local from = place()
local answer = call('ZRANGE', ready, from, from + limit - 1)
local last = ''
while #answer > 1 and not fits(answer[#answer]) do
    answer[#answer] = nil
    limit = limit - 1
end
if #answer > 0 then
    last = call('ZSCORE', ready, answer[#answer])
    if tonumber(last) > now then
        local due = math.max(call('ZCOUNT', ready, '-inf', stamp) - from, 0)
        local others = are_others_behind()
        if not others or #answer < limit then
            last = ''
        end
        local count, shown = #answer, due
        for i = due + 1, count do
            local id = answer[i]
            answer[i] = nil
            -- The last one on the page stays, for the next page's sake.
            if others and (i == count and last ~= '' or not waits(id)) then
                shown = shown + 1
                answer[shown] = id
            end
        end
    elseif #answer < limit then
        last = ''
    end
end
answer[#answer + 1] = last
answer[#answer + 1] = call('ZCOUNT', ready, '-inf', stamp)
return answer

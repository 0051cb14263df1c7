-- A page of tasks that may be claimed, those that have waited longest first.
-- KEYS: ready.
-- ARGV: score and id of the last task of the page before, empty for the first page; how many.
-- Answer: ids, then the score of the last one, empty when no page follows.
-- include clock.lua
local call = redis.call
local ready, score, id, limit = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

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
        local due = call('ZCOUNT', ready, '-inf', stamp) - from
        for i = #answer, due + 1, -1 do
            answer[i] = nil
        end
        last = ''
    elseif #answer < limit then
        last = ''
    end
end
answer[#answer + 1] = last
return answer

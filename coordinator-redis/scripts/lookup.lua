-- Reads tasks and who owns them.
-- KEYS: tasks, then an owner key for each task.
-- ARGV: where the id begins in an owner key, 1 to read the properties as well.
-- Answer: for each task the owner key's value, nil, or 2 (owner key damaged); then, if wanted, for
-- each its properties, or nil where there is no such task.
local call = redis.call
local n = #KEYS - 1
local answer = call('MGET', unpack(KEYS, 2))
local found = 0
for i = 1, n do
    found = found + (answer[i] and 1 or 0)
end
if call('EXISTS', unpack(KEYS, 2)) > found then
    for i = 1, n do
        if not answer[i] and call('EXISTS', KEYS[i + 1]) == 1 then
            answer[i] = 2
        end
    end
end
for i = 1, n do
    if type(answer[i]) == 'string' and string.sub(answer[i], 1, 8) == 'removed ' then
        answer[i] = false
    end
end
if ARGV[2] == '1' then
    local ids = {}
    for i = 1, n do
        ids[i] = string.sub(KEYS[i + 1], tonumber(ARGV[1]))
    end
    local properties = call('HMGET', KEYS[1], unpack(ids))
    for i = 1, n do
        answer[n + i] = properties[i]
    end
end
return answer

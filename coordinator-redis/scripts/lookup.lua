-- Reads tasks and who owns them.
-- keys: tasks crashes owners
-- ARGV: where the id begins in an owner key, 1 to read the properties as well.
-- Answer: for each task the owner key's value, nil, or 2 (owner key damaged); then, if wanted, for
-- each its properties, or nil where there is no such task; then for each its crashes, "<count> <ms of
-- the last>" and " aside" if it was set aside, or nil.
local call = redis.call
-- include owner.lua
local n = #KEYS - OWNERS
local answer = call('MGET', unpack(KEYS, OWNERS + 1))
local found = 0
for i = 1, n do
    found = found + (answer[i] and 1 or 0)
end
if call('EXISTS', unpack(KEYS, OWNERS + 1)) > found then
    for i = 1, n do
        if not answer[i] and call('EXISTS', KEYS[OWNERS + i]) == 1 then
            answer[i] = 2
        end
    end
end
for i = 1, n do
    if type(answer[i]) == 'string' and select(2, unmarked(answer[i])) then
        answer[i] = false
    end
end
local ids, size = {}, n
for i = 1, n do
    ids[i] = string.sub(KEYS[OWNERS + i], tonumber(ARGV[1]))
end
if ARGV[2] == '1' then
    local properties = call('HMGET', KEY.tasks, unpack(ids))
    for i = 1, n do
        answer[n + i] = properties[i]
    end
    size = 2 * n
end
if call('HLEN', KEY.crashes) > 0 then
    local crashes = call('HMGET', KEY.crashes, unpack(ids))
    for i = 1, n do
        answer[size + i] = crashes[i]
    end
end
return answer

-- Included by release and done: which of the tasks are the session's, token and fence.
-- KEYS: node, tasks, ready, held, counts, removed, crashes, messages, mail, aside, later, then an
-- owner key for each task.
-- ARGV: token, epoch, node's name, hint channel, where the id begins in an owner key, then the
-- fences as runs: the first place, and the fence from there on.
-- Answer: for each task that was refused its place and 1 (not the owner) or 2 (task gone).
-- include session.lua
-- include clock.lua
-- include lost.lua
local fixed, run, from = 11, 6, tonumber(ARGV[5])
local mine, suffix = token .. ' ', ' ' .. ARGV[3]
call('ZCARD', KEYS[3])
call('SCARD', KEYS[4])
local owners = call('MGET', unpack(KEYS, fixed + 1))
local answer, keys, ids, expected = {}, {}, {}, nil
local change = tonumber(ARGV[run])
for i = 1, #KEYS - fixed do
    local key = KEYS[fixed + i]
    local id = string.sub(key, from)
    if i == change then
        expected = mine .. ARGV[run + 1] .. suffix
        run = run + 2
        change = tonumber(ARGV[run])
    end
    if owners[i] == expected then
        keys[#keys + 1] = key
        ids[#ids + 1] = id
    elseif expected and owners[i] == 'removed ' .. expected then
        end_removed(key, id, KEYS[2], KEYS[3], KEYS[4], KEYS[6], KEYS[11])
        answer[#answer + 1] = i
        answer[#answer + 1] = 2
    else
        local code = lost(id, owners[i], mine, KEYS[2], KEYS[4])
        answer[#answer + 1] = i
        answer[#answer + 1] = code
    end
end
return_strays(KEYS[3], KEYS[10], ARGV[4])

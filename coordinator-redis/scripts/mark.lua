#!lua flags=allow-oom
-- Puts the mark of a namespace that moves, or takes it away, unless that of another migration says
-- that it is under way.
-- keys: node moved
-- ARGV: token, epoch, migration, phase (0: none), URL.
-- Answer: 1 or 0 (another one's), and the mark that is there now, "<migration> <phase> <URL>" or empty.
-- include session.lua
local migration, phase = string.match(call('GET', KEY.moved) or '', '^(%S+) (%d) ')
if migration and migration ~= ARGV[3] and tonumber(phase) < 3 then
    return { 0, call('GET', KEY.moved) }
end
if ARGV[4] == '0' then
    call('DEL', KEY.moved)
    return { 1, '' }
end
local mark = ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5]
call('SET', KEY.moved, mark)
return { 1, mark }

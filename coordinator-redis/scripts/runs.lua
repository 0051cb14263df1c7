-- Included by the scripts in which a session names claims that it has, together with session.lua and
-- owner.lua. Their fences end the arguments, as runs: the first place, and the fence from there on.
-- A function that is asked for each place in order: the record that its owner key must have, and the
-- fence.
local function expected_records(node, run)
    local change, record, fence = tonumber(ARGV[run]), nil, nil
    return function(place)
        if place == change then
            fence = ARGV[run + 1]
            record = owner_record(token, fence, node)
            run = run + 2
            change = tonumber(ARGV[run])
        end
        return record, fence
    end
end

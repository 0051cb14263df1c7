-- Included by the scripts that read or write owner keys. Their value is "<token> <fence> <node>", with
-- "removed " before it when the task was removed while the claim is in force.
local function owner_record(token, fence, node)
    return token .. ' ' .. fence .. ' ' .. node
end
local function of_removed(record)
    return 'removed ' .. record
end
-- The record without that mark, and whether it had it.
local function unmarked(record)
    if string.sub(record, 1, 8) == 'removed ' then
        return string.sub(record, 9), true
    end
    return record, false
end
local function is_owned_by(record, token)
    return string.sub(record, 1, #token + 1) == token .. ' '
end
local function fence_in(record)
    return string.match(record, '^%S+ (%d+)')
end
local function node_in(record)
    return string.match(record, '^%x+ %d+ (.*)$')
end

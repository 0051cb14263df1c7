-- Included by the scripts that meet sessions which have lapsed. Two or more of them and none that is
-- live: nobody could renew, the broker was away. What lapsed until then is no crash (reap.lua).
local function note_outage(sessions, outage)
    if call('ZCOUNT', sessions, '(' .. stamp, '+inf') == 0 and call('ZCOUNT', sessions, '(0', stamp) > 1 then
        call('SET', outage, stamp)
    end
end

-- Included by the scripts that meet sessions which have lapsed. Two or more of them and none that is
-- live: nobody could renew, the broker was away. What lapsed until then is no crash (reap.lua).
local function note_outage()
    if call('ZCOUNT', KEY.sessions, '(' .. stamp, '+inf') == 0 and call('ZCOUNT', KEY.sessions, '(0', stamp) > 1 then
        call('SET', KEY.outage, stamp)
    end
end

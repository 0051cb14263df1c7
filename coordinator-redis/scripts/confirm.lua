-- A write that changes nothing, for replicas to confirm: with it they confirm all that came before.
-- KEYS: confirmed.
-- ARGV: for how long the key is kept, in ms.
-- A server whose memory is out takes PEXPIRE as a script's first write, and then SET as well.
if redis.call('PEXPIRE', KEYS[1], ARGV[1]) == 0 then
    redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
end
return 1

-- A write that changes nothing, for replicas to confirm: with it they confirm all that came before.
-- keys: confirmed
-- ARGV: for how long the key is kept, in ms.
-- A server whose memory is out takes PEXPIRE as a script's first write, and then SET as well.
if redis.call('PEXPIRE', KEY.confirmed, ARGV[1]) == 0 then
    redis.call('SET', KEY.confirmed, '', 'PX', ARGV[1])
end
return 1

-- The server's clock, read once. `stamp` is `now` as text, to be passed on many times.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
local stamp = string.format('%.0f', now)

--- rtmp/options: what a config may set for the handlers "rtmp" and "rtmp.http", and what holds if it does not.
local access = require "handlers.rtmp.access"

return {
  -- publishers
  takeover = true,          -- may a publisher take the place of another?
  grace = 5,                -- seconds that viewers wait for a publisher that was lost
  publish_timeout = 30,     -- seconds without media after which a publisher is cut off
  setup = 10,               -- seconds from the handshake to a publish or play

  -- viewers
  wait = 60,                -- seconds that a viewer waits for a publisher; 0: not at all
  stall = 30,               -- seconds after which a viewer that takes nothing is cut off
  lag = 4 * 2^20,           -- bytes that a viewer may be behind before it skips to a key frame
  merge = 0,                -- seconds that messages wait for company: fewer writes, more delay
  gop_bytes = 8 * 2^20,     -- what is kept of a stream for viewers to come, and for those who are slow,
  gop_frames = 5000,        -- in bytes and in messages
  max_viewers = 0,          -- of a stream; 0: any number

  -- who may: functions as of rtmp/access, and simple checks
  on_connect = access.anybody, on_publish = access.anybody, on_play = access.anybody, on_done = access.anybody,
  hook_timeout = 10,        -- seconds for a hook's answer
  publish_allow = {}, publish_deny = {}, -- networks: { "10.0.0.0/8", "::1" }
  play_allow = {}, play_deny = {},
  publish_token = "", play_token = "", token_name = "token", -- ?token=... of the stream's name; "": none is needed
  user = "", password = "", -- authmod=adobe, for all who connect; "": nobody is asked
  max_per_address = 0,      -- connections of one address, in each worker; 0: any number

  -- other servers, as of rtmp/relay
  push = {},                -- { ["app/name"] = "rtmp://..." or { "rtmp://..."... } }
  pull = {},                -- { ["app/name"] = "rtmp://..." }
  pull_idle = 10,           -- seconds without viewers after which a pull ends; 0: it never does, nor waits for one

  -- files, as of rtmp/record
  record = "",              -- pattern of their names, "/var/rec/%N-%Y%m%d-%H%M%S.flv"; "": none are written
  record_live = false,      -- also of streams that do not ask for it
  record_rotate = 0,        -- seconds after which a new one begins; 0: never
  record_size = 0,          -- bytes after which a new one begins; 0: never
}

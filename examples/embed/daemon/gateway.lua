-- make && ./dirwatchd --config gateway.lua /tmp
-- The config of dirwatchd; kill -HUP has it, and the handler, loaded again.
return {
  drain = 5,
  listen = {
    { "127.0.0.1:7030", name = "changes", handler = "changes.lua" },
  },
}

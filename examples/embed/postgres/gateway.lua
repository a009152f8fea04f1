-- build/linedancer run examples/embed/postgres/gateway.lua
-- psql -h 127.0.0.1 -p 6432 -U postgres -c 'select count(*) from pg_class'
--
-- A gateway before the PostgreSQL of this machine: it logs every statement, and has a user who runs more than 1000 a
-- second wait. A process of its own, with the same handler, is pggate.c.
return {
  workers = 1, -- the limit is of a worker
  limits = { connections = 1000 },
  listen = {
    { "127.0.0.1:6432", handler = "gate.lua", options = {
      upstream = "127.0.0.1:5432", rate = 1000, burst = 100, over = "delay", slow = 0,
    } },
  },
}

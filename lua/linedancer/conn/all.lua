--- linedancer.conn.all: the methods and facts of connections, those of linedancer.conn and what other modules bring.
local channel = require "linedancer.channel"
local conns = require "linedancer.conn"
local id = require "linedancer.id"
local migrate = require "linedancer.migrate"
local tasks = require "linedancer.task"
local topic = require "linedancer.topic"
require "linedancer.conn.relay"
require "linedancer.conn.starttls"
local proxy_protocol = require "linedancer.proxy_protocol"

local methods, facts = conns.methods, conns.facts

methods.spawn, methods.join, methods.timer = tasks.of_conn.spawn, tasks.of_conn.join, tasks.of_conn.timer
methods.subscribe, methods.unsubscribe = topic.subscribe, topic.unsubscribe
methods.stale = migrate.is_stale
methods.follow, methods.unfollow, methods.following = channel.follow, channel.unfollow, channel.following

--- A text by which it can be sent to, in all workers; no other connection of the gateway's life has the same.
---@class linedancer.Conn
---@field id string
facts.id = id.of

--- What a proxy has said of it, or false.
---@class linedancer.Conn
---@field proxy linedancer.Proxy|false
facts.proxy = proxy_protocol.fact

return conns

---@meta linedancer
-- Made by ./dev reference from the doc comments in lua/linedancer.

---A state: returns the name of the next one, and up to 7 values for it; or nothing, and the connection ends.
---@alias linedancer.State fun(conn: linedancer.Conn, ...: any): string?, ...

---A hook for messages: may return the name of a state, and up to 7 values for it, or ld.postpone.
---@alias linedancer.OnMessage fun(conn: linedancer.Conn, from: string?, message: any, topic: string?): string|linedancer.Postpone|nil, ...

---How conn:packet() cuts frames.
---@alias linedancer.PacketMode
---| "raw" # whatever has arrived
---| 1 # behind a length of one byte
---| 2 # behind a big-endian length of two bytes
---| 4 # behind a big-endian length of four bytes
---| "2le" # behind a little-endian length of two bytes
---| "4le" # behind a little-endian length of four bytes
---| "varint" # behind a length as of Protocol Buffers
---| "mqtt" # behind a length as of MQTT
---| "quic" # behind a length as of QUIC
---| "line" # up to LF, which is kept
---| "asn1" # ASN.1 BER, with its tag and length
---| "cdr" # CORBA's GIOP, with its header
---| "sunrm" # ONC RPC record marking, RFC 5531, with its header
---| "fcgi" # FastCGI 1.0, with its header
---| "tpkt" # TPKT, RFC 1006, with its header
---| "http" # the head of a request or response, as a table

---A format, or its text, which is compiled once and cached.
---@alias linedancer.FormatLike string|linedancer.Format

---A buffer that is sealed.
---@alias linedancer.Blob linedancer.Buffer

---What is taken wherever bytes are.
---@alias linedancer.Data string|linedancer.Bytes

---An id, or the table of a connection or task of this worker.
---@alias linedancer.Receiver string|linedancer.Conn|linedancer.Task

---The name of a digest.
---@alias linedancer.Algorithm
---| "md5"
---| "sha1"
---| "sha224"
---| "sha256"
---| "sha384"
---| "sha512"
---| "sha3-256"
---| "sha3-512"
---| "blake2s256"
---| "blake2b512"

---What has happened.
---@alias linedancer.ErrorCode
---| "truncated" # the peer left inside a frame
---| "timeout" # the state took too long, or the peer was silent, or another limit of time was met
---| "reset" # the peer reset the connection
---| "limit" # a frame, field, queue or something else would exceed its limit
---| "mismatch" # a literal or a digit is not what the format says
---| "range" # a number does not fit
---| "varint" # a varint is longer than its encoding allows
---| "stale" # a borrowed slice was used after its time
---| "busy" # another read is pending on this connection, or the buffer is sealed
---| "hook" # a hook tried to wait
---| "closed" # the connection has ended
---| "refused" # the peer refused the connection
---| "unreachable" # no route, or no answer
---| "dns" # a name could not be resolved
---| "tls" # a TLS failure
---| "protocol" # the peer broke the rules of the transport
---| "fail" # conn:fail(reason)
---| "error" # a Lua error in the handler, or a system error
---| "nomem" # out of memory

---What a handler's module returns. Or a function, which is then the one state, "main".
---@class linedancer.Handler
---@field initial? string name of the first state; may be left out when there is but one
---@field states table<string, linedancer.State> by name
---@field options? table<string, any> names, types and defaults of what a config may set; a function is a hook of the config's
---@field limits? linedancer.HandlerLimits within those of the config
---@field timeouts? table<string|1, number|linedancer.Timeout|false> by state; [1] is for the others, false for no timeout
---@field enter? table<string, fun(conn: linedancer.Conn, from: string?)> by state, called as it is entered; FROM is the state before
---@field start? fun(options: table[]) called once in each worker, for each version, with the options of its listeners
---@field on_message? linedancer.OnMessage|table<string, linedancer.OnMessage> called with each message; or by state
---@field on_timer? fun(conn: linedancer.Conn, name: any, value: any): string?, ... called when a timer of conn:timer() goes off
---@field on_drain? fun(conn: linedancer.Conn, seconds: number): string?, ... called when the gateway drains, SECONDS before it gives up
---@field on_error? fun(conn: linedancer.Conn, err: linedancer.Error): string?, ... last words; may name a state to go on in
---@field on_close? fun(conn: linedancer.Conn, reason: string, err: linedancer.Error?) called once, when the transport has closed
---@field upgrade? fun(conn: linedancer.Conn, from_version: integer): string?, ... called as a connection moves to this version of the code
---@field commands? table<string, fun(...: any): any> by name, for `linedancer call HANDLER COMMAND`
local Handler = {}

---Seconds, at least one of the two.
---@class linedancer.Timeout
---@field idle? number since the last byte came
---@field total? number since the state was entered
local Timeout = {}

---Limits of a connection.
---@class linedancer.HandlerLimits
---@field frame? integer bytes of a frame (1 MB)
---@field output? integer bytes that are queued (1 MB)
---@field linger? number seconds in which output is flushed at the end (5)
---@field mailbox? integer messages, postponed ones included (1000)
---@field lifetime? number seconds of a connection (any)
---@field stall? number seconds in which the peer takes nothing of what waits (any)
local HandlerLimits = {}

---A connection. Other fields are the handler's own; those that are here cannot be set.
---@class linedancer.Conn
---@field options table of the handler, as the config gives them; the same table for all connections of a listener
---@field version integer which version of the code it runs, 1 for the first
---@field handler string name of the handler
---@field peer string? address of the other end, "1.2.3.4:5", "[::1]:5" or a path; what a proxy has said of it, if one has
---@field local_address string? address of our end
---@field unsent integer bytes that are queued and that the kernel has not taken
---@field unread integer bytes that are here and not read
---@field state string? name of the state that it is in
---@field listener string? name of its listener, or its address
---@field id string A text by which it can be sent to, in all workers; no other connection of the gateway's life has the same.
---@field proxy linedancer.Proxy|false What a proxy has said of it, or false.
---@field tls linedancer.Tls|false What TLS has agreed on; false when the connection is plain.
---@field reused? boolean Has somebody used it before? Of connections that ld.connect made.
local Conn = {}

---What conn.tls is.
---@class linedancer.Tls
---@field version string "TLSv1.3"
---@field cipher string "TLS_AES_256_GCM_SHA384"
---@field server_name? string which the client asked for
---@field alpn? string protocol that was agreed on
---@field subject? string of the certificate of the other end
---@field resumed boolean whether an earlier session goes on
local Tls = {}

---What a proxy has said of a connection; conn.proxy is false when none has said anything.
---@class linedancer.Proxy
---@field version integer 1 or 2
---@field address string the proxy's own
---@field authority? string host name that the client asked for
---@field alpn? string protocol that was agreed on
---@field unique_id? string of the connection
---@field netns? string name of the network namespace
---@field ssl? table TLS to the proxy: client (bits), verified, version, subject, cipher
---@field [integer] string other fields, by their types
local Proxy = {}

---The head of a request or response.
---@class linedancer.HttpHead
---@field method? string of a request
---@field target? string of a request, as it was sent
---@field status? integer of a response
---@field reason? string of a response
---@field version string "1.1"
---@field headers table<string, string> by name in small letters; repeated ones are joined by ", "
---@field fields string[][] { name, value } each, as they came
local HttpHead = {}

---Options of ld.connect().
---@class linedancer.ConnectOptions
---@field timeout? number seconds for everything (10)
---@field bind? string network interface to use
---@field source? string local address, or address:port, to come from
---@field tls? boolean|linedancer.TlsOptions over TLS
---@field proxy? { of: linedancer.Conn, version?: 1|2 } whom it is for, said by the PROXY protocol; not with pool
---@field pool? boolean|{ size?: integer, idle?: number } idle ones kept for an address (16), for how many seconds (60)
local ConnectOptions = {}

---Whom to trust, and as who, on connections that we make.
---@class linedancer.TlsOptions
---@field server_name? string who is to be reached, if that is not the host of the address
---@field ca? string whom to trust instead of those that the system trusts: a file, or PEM text
---@field verify? boolean false: anybody, under any name
---@field certificate? string our own, a file or PEM text; with key
---@field key? string of the certificate, a file or PEM text
---@field alpn? string[] protocols, the best first
local TlsOptions = {}

---Options of conn:starttls(); those of TLS are for connections that we made.
---@class linedancer.StarttlsOptions: linedancer.TlsOptions
---@field timeout? number seconds for the handshake (10)
local StarttlsOptions = {}

---What `require "linedancer"` returns.
---@class linedancer
---@field version string of the program, "0.1.0"
---@field log linedancer.log one line per event
---@field crypto linedancer.crypto digests, MACs, random bytes and base64
---@field postpone linedancer.Postpone what on_message returns to have the message again when the state has changed
local ld = {}

---A named number that only grows.
---@class linedancer.Counter
---@field name string by which it is known
---@field value number how much it is
local Counter = {}

---A compiled format.
---@class linedancer.Format
---@field source string its text
local Format = {}

---Bytes in C memory: slices, buffers and blobs. #bytes is their number, and tostring(bytes) a string of them.
---@class linedancer.Bytes
---@operator len: integer
local Bytes = {}

---Bytes of a connection's input, borrowed: valid until its next read or the coroutine's next wait.
---@class linedancer.Slice: linedancer.Bytes
local Slice = {}

---C memory that grows, until it is sealed: by keep(), by being written, published or sent. Then it is a blob.
---@class linedancer.Buffer: linedancer.Bytes
local Buffer = {}

---A coroutine besides those of connections. It takes fields of the program's own.
---@class linedancer.Task
---@field id string to send to
---@field alive boolean whether it has not ended
---@field options table empty
---@field version integer 1
---@field handler string "task"
local Task = {}

---What on_message returns to have the message again when the state has changed.
---@class linedancer.Postpone
local Postpone = {}

---Options of ld.channel().
---@class linedancer.ChannelOptions
---@field bytes? integer that its log keeps at most (4 MB, up to 1 GB)
---@field items? integer blobs that its log keeps at most (10,000, up to 2^24)
---@field merge? number seconds that blobs wait to be sent together (0, up to 60)
---@field places? "any"|"marks" where newcomers may begin ("any")
local ChannelOptions = {}

---A log of blobs that many connections follow.
---@class linedancer.Channel
---@field name string by which all workers know it
local Channel = {}

---What channel:stats() returns, of this worker.
---@class linedancer.ChannelStats
---@field items integer blobs in the log
---@field bytes integer in the log
---@field followers integer connections
---@field published integer blobs, ever
---@field skipped integer times that followers lost their places
---@field dropped integer times that followers dropped blobs
---@field closed integer followers that were closed
---@field lost integer blobs that followers passed over
---@field tail integer number of the oldest blob
---@field head integer number of the next blob
---@field home? integer worker where the channel has its home
local ChannelStats = {}

---Options of conn:follow().
---@class linedancer.FollowOptions
---@field lag? number bytes that it may be behind (any)
---@field policy? "skip"|"drop"|"close" what happens when it is more, or falls off the log ("skip")
---@field add? boolean follow it besides what is followed already
local FollowOptions = {}

---Where a follower is.
---@class linedancer.Place
---@field channel string name of the channel
---@field behind integer bytes that are still to be sent
---@field sent integer bytes that were
---@field skipped integer times that it lost its place
---@field lost integer blobs that it missed so
---@field waiting boolean whether it waits for a mark
local Place = {}

---One line per event.
---@class linedancer.log
local log = {}

---Digests, MACs, random bytes and base64, by OpenSSL.
---@class linedancer.crypto
local crypto = {}

---What reads and other calls raise. tostring(err) is one line.
---@class linedancer.Error
---@field code linedancer.ErrorCode what has happened
---@field message string the same in words
---@field state? string in which the connection was
---@field conn? string id of the connection
---@field offset? integer of the frame, in bytes, at which it is wrong
---@field field? string|integer of the format: its name, else its number
---@field limit? string which limit was met: "frame", "output", "turn", "memory", "lifetime", "stall", "idle" or "total"
---@field traceback? string of an error in the code
local Error = {}

---What a config file returns.
---@class linedancer.Config
---@field listen linedancer.Listener[] what is served
---@field workers? integer processes, up to 256 (one per processor); 0: everything in one process
---@field limits? linedancer.Limits of a worker and its connections
---@field control? string path of a socket, for `linedancer status` and others
---@field path? string[] directories in which handlers and modules are looked for
---@field log? { level: "debug"|"info"|"warn"|"error" } what is logged ("info")
---@field drain? number seconds that a gateway that stops gives its connections (30)
---@field watch? boolean reload when a file changes (false); not with workers = 0
---@field retire? number seconds after a reload when connections on older code end (never)
---@field user? string who runs handlers (who started it)
---@field group? string of user
---@field no_new_privs? boolean programs that a handler executes get no more rights than it has (true)
---@field seccomp? boolean handlers cannot execute programs, nor do what else no gateway needs (false)
local Config = {}

---One address that is listened on.
---@class linedancer.Listener
---@field [1] string address: "127.0.0.1:7000", ":7000", "[::1]:7000" or "unix:/path"
---@field handler string|linedancer.Handler name of a module, path of a file, or a handler itself
---@field name? string by which others know it (the address)
---@field options? table of the handler
---@field limits? linedancer.HandlerLimits before those of the config
---@field max_connections? integer at a time
---@field backlog? integer connections that wait to be accepted
---@field tls? linedancer.ListenerTls over TLS
---@field proxy_protocol? linedancer.ListenerProxy behind proxies
---@field sandbox? boolean|{ connect: boolean } for a handler that somebody else wrote; whether it may connect (false)
local Listener = {}

---The `tls` of a listener: { certificate =, key = }, or an array of such pairs, chosen by the name that is asked for.
---@class linedancer.ListenerTls
---@field certificate? string file: the certificate, followed by those it needs
---@field key? string file
---@field [integer] { certificate: string, key: string } chosen by name
---@field alpn? string[] protocols, the best first
---@field client? "optional"|"required" certificates of clients; with client_ca
---@field client_ca? string file: who signs certificates of clients
---@field handshake? number seconds that a client has for it (10)
---@field on_demand? boolean plain until the handler calls conn:starttls() (false)
local ListenerTls = {}

---The `proxy_protocol` of a listener.
---@class linedancer.ListenerProxy
---@field [integer] string networks of proxies, "10.0.0.0/8" or "unix:"
---@field direct? boolean others come as well, without a header (false)
---@field timeout? number seconds for the header (5)
local ListenerProxy = {}

---Limits of a worker, and of each of its connections.
---@class linedancer.Limits: linedancer.HandlerLimits
---@field turn? number seconds that Lua may compute without waiting (0.1); 0: any
---@field connections? integer of all workers together (10,000)
---@field heartbeat? number seconds in which a worker answers (10)
---@field memory? integer bytes of a worker (2 GB); 0: any
---@field per_source? linedancer.PerSource of each source of clients
local Limits = {}

---Limits of each source of clients: an address, or a network.
---@class linedancer.PerSource
---@field connections? integer at a time
---@field rate? number new connections a second
---@field bytes? number bytes a second
---@field v4? integer bits of an IPv4 address that make a source
---@field v6? integer bits of an IPv6 address that make a source
local PerSource = {}

---Wait for one frame of FORMAT (text or ld.format) and return its values; nil when the peer has ended. A format without values returns true.
---
---Raises truncated, mismatch, range, varint, limit (limits.frame).
---
---It may wait.
---@async
---@param format linedancer.FormatLike the frame
---@return any ... its values, or one table when fields have names; true when it has none; nil at the end
function Conn:unpack(format) end

---The same inside a frame: an end raises `truncated`. A number means that many bytes, as a string.
---
---Raises truncated, mismatch, range, varint, limit (limits.frame).
---
---It may wait.
---@async
---@param format linedancer.FormatLike|integer the frame, or a number of bytes
---@return any ... its values, or the bytes
function Conn:expect(format) end

---As unpack, without consuming: the next read sees the same bytes. A number means that many bytes, as a string.
---
---Raises truncated, mismatch, range, varint, limit (limits.frame).
---
---It may wait.
---@async
---@param format linedancer.FormatLike|integer the frame, or a number of bytes
---@return any ... as of unpack; nil at the end
function Conn:peek(format) end

---As unpack, without waiting: nil and how many further bytes are needed; nil and 0 at the end.
---
---Raises truncated, mismatch, range, varint, limit (limits.frame), hook (in a hook).
---@param format linedancer.FormatLike the frame
---@return any ... its values; or nil and the number of bytes that are missing, 0 at the end
function Conn:try(format) end

---Exactly N bytes as a string, or nil at the end.
---
---Raises truncated, limit (limits.frame).
---
---It may wait.
---@async
---@param n integer bytes
---@return string? bytes nil at the end
function Conn:read(n) end

---At least one byte, at most MAX (default 65536), as a string; nil at the end.
---
---It may wait.
---@async
---@param max? integer bytes
---@return string? bytes nil at the end
function Conn:read_some(max) end

---A line without its end (LF, or CR LF), of at most MAX bytes (default limits.frame); nil at the end.
---
---Raises truncated, limit.
---
---It may wait.
---@async
---@param max? integer bytes, without the end of the line
---@return string? line nil at the end
function Conn:read_line(max) end

---Bytes up to DELIM (1 to 8 bytes), which is consumed and left out; at most MAX (default limits.frame); nil at the end.
---
---Raises truncated, limit.
---
---It may wait.
---@async
---@param delim string what ends it
---@param max? integer bytes, without DELIM
---@return string? bytes nil at the end
function Conn:read_until(delim, max) end

---Iterate over lines until the end: for line in conn:lines() do.
---
---Raises truncated, limit.
---
---It may wait.
---@async
---@param max? integer bytes of a line
---@return fun(): string? next each call is a read_line()
function Conn:lines(max) end

---Drop N bytes of the frame, any N.
---
---Raises truncated.
---
---It may wait.
---@async
---@param n integer bytes, up to 2^53
function Conn:skip(n) end

---Drop bytes up to DELIM and DELIM itself, however many.
---
---Raises truncated.
---
---It may wait.
---@async
---@param delim string 1 to 8 bytes
function Conn:skip_until(delim) end

---N bytes of the frame as a borrowed slice, N within limits.frame.
---
---Raises truncated, limit (limits.frame).
---
---It may wait.
---@async
---@param n integer bytes
---@return linedancer.Slice slice valid until the next read or wait
function Conn:slice(n) end

---Iterate over a body as it arrives, in borrowed slices: N bytes, or up to the delimiter N (consumed, left out). Any size: nothing is collected.
---
---Raises truncated.
---
---It may wait.
---@async
---@param n integer|string bytes, up to 2^53, or a delimiter of 1 to 8 bytes
---@return fun(): linedancer.Slice? next each slice is valid until the next one is asked for
function Conn:body(n) end

---Move N bytes of the frame to the end of BUFFER, in C, as they come. Raises `limit` above the buffer's maximum.
---
---Raises truncated, limit (of the buffer), busy (the buffer is sealed).
---
---It may wait.
---@async
---@param buffer linedancer.Buffer what they are appended to
---@param n integer bytes
---@return linedancer.Buffer buffer the same
function Conn:read_into(buffer, n) end

---One frame in an Erlang packet mode, or nil at the end; see linedancer.PacketMode.
---
---Raises truncated, limit, fail (for what is none, with a reason).
---
---It may wait.
---@async
---@param mode linedancer.PacketMode how frames are cut
---@return string|linedancer.HttpHead|nil frame nil at the end
function Conn:packet(mode) end

---Queue strings, slices, buffers and numbers. They leave whole and in order, when the handler next waits. A buffer is sealed by it. To a connection that has ended this does nothing.
---
---Raises stale.
---@param x linedancer.Data|number what is sent first; a number in decimal
---@param ... linedancer.Data|number what is sent behind it
function Conn:write(x, ...) end

---Queue bytes I to J (default all) of the string X, positions as in string.sub, without making a string of them.
---@param x string what it is taken from
---@param i? integer the first byte (1)
---@param j? integer the last byte (-1)
function Conn:put(x, i, j) end

---Encode values by FORMAT straight into the output. With named fields the one value is a table.
---
---Raises range, limit, mismatch, stale.
---@param format linedancer.FormatLike the frame
---@param ... any its values
function Conn:pack(format, ...) end

---Wait until the kernel has taken all output. Any task may.
---
---It may wait.
---@async
function Conn:flush() end

---Have the kernel take at most COUNT bytes (above 0; nil for the system's default) that it has not sent yet: what a slow peer does not take is then here, in conn.unsent or in a channel's log, where it can be skipped. Does nothing for what is no TCP.
---@param count? integer bytes
function Conn:notsent_lowat(count) end

---Have the kernel acknowledge what comes at once (ON), or up to 40 ms later, as it likes (false). For the setup of peers that send their messages in small pieces, each held back until the one before is acknowledged (Nagle's algorithm). Costs a system call a turn. Does nothing for what is no TCP.
---@param on boolean whether to
function Conn:quick_ack(on) end

---The longest time in STATE, in seconds, or { idle =, total = }; nil for none. For this connection only.
---@param state string its name
---@param seconds? number|linedancer.Timeout in the state, or since the last byte and in the state
function Conn:timeout(state, seconds) end

---Have on_timer(conn, NAME, VALUE) called in SECONDS, instead of when it was last set to; nil cancels it.
---@param name any which one; a later call with the same name replaces it
---@param seconds? number from now
---@param value? any for on_timer
function Conn:timer(name, seconds, value) end

---Is there newer code that CONN would move to at a transition? For loops within a state, which keep it from that.
---@return boolean is_stale
function Conn:stale() end

---Raise a `fail` error that ends the connection with REASON, unless the handler catches it.
---
---Raises fail.
---@param reason any a text, or what tostring makes one of
function Conn:fail(reason) end

---End the connection after its output is flushed, with REASON (default "closed") for on_close. Its coroutine goes no further than its next read or transition.
---@param reason? any a text, or what tostring makes one of
function Conn:close(reason) end

---Half-close: what is queued still goes out, then the peer sees our end. Reading goes on.
function Conn:shutdown() end

---End the connection at once, by a reset, dropping what is queued.
function Conn:reset() end

---Move N bytes of the frame, any N, to the output of DST, in C, as they come and as DST's peer takes them. An end of this side before raises `truncated`; when DST ends, its error is raised. Both may be the same connection.
---
---Raises truncated, and the errors of DST.
---
---It may wait.
---@async
---@param dst linedancer.Conn where they go
---@param n integer bytes, up to 2^53
function Conn:relay(dst, n) end

---Move all bytes, both ways, until both sides have ended and the other has taken all. The end of one side ends the output of the other, and the rest goes on. Returns how many bytes went to OTHER, and how many came back. Raises the error of the one that fails first.
---
---Raises the errors of either.
---
---It may wait.
---@async
---@param other linedancer.Conn the other side
---@return integer there bytes that went to OTHER
---@return integer back bytes that came from it
function Conn:pipe(other) end

---Connect to TEXT, "host:port", "[::1]:80" or "unix:/path", and return the connection; or nil and an error object: dns, refused, unreachable, reset, timeout, tls, limit (no descriptor or port is free, or thousands are being made), error. OPTS: timeout = seconds for everything (10); bind = the network interface to use; source = the local address, or address:port, to come from; tls = true or as of linedancer.tls.client; proxy = { of = conn, version = 1 or 2 } to say first, by the PROXY protocol, whom it is for; pool = true or { size = 16, idle = 60 } to take a connection that conn:release() gave back, if there is one (conn.reused), and to be able to. Waits; raises `hook` where nothing may.
---
---It may wait.
---@async
---@param text string the address
---@param opts? linedancer.ConnectOptions how
---@return linedancer.Conn? conn
---@return linedancer.Error? err
function ld.connect(text, opts) end

---Give CONN, which ld.connect made with pool, back for others to use. One with anything unread or unsent, that is being read, or that has ended or failed, is closed instead.
function Conn:release() end

---Wait until all output is gone, and for a TLS handshake then. Unread input raises `protocol`; a handshake that fails raises `tls`, or what else there is to say, and the connection is over. OPTS: timeout = seconds (10), and, on a connection that we made, what linedancer.tls.client lists; server_name, unless verify = false.
---
---Raises protocol, tls, timeout.
---
---It may wait.
---@async
---@param opts? linedancer.StarttlsOptions how
function Conn:starttls(opts) end

---Seconds on a clock that never goes back.
---@return number seconds
function ld.now() end

---Seconds since 1970, the wall clock.
---@return integer seconds
function ld.time() end

---The table called NAME, which outlives reloads and is shared by all versions and handlers of this worker.
---@param name string what it is called
---@return table kept
function ld.keep(name) end

---The counter called NAME, zero when it is new.
---@param name string what it is called
---@return linedancer.Counter counter
function ld.counter(name) end

---Add N (default 1), which is not negative, and return the new value.
---@param n? number by how much (1)
---@return number value
function Counter:add(n) end

---Serve CONFIG, a table or the name of a file, in a script that plain luajit runs, until SIGINT or SIGTERM drains it, a second one at once. Raises an error for a config that is not good, and in a gateway, which serves already.
---@param config linedancer.Config|string what is served
function ld.serve(config) end

---A compiled format, to pass wherever a format's text is taken, with :unpack(text, pos) and :pack(...). Raises a message with the column of a syntax error.
---@param source string|linedancer.Format its text
---@return linedancer.Format format
function ld.format(source) end

---Decode TEXT (a string, or bytes) from POS (default 1): the values, then the position after them, as string.unpack does. Slice fields become strings. Raises an error object: truncated, mismatch, range, varint or limit.
---
---Raises truncated, mismatch, range, varint, limit.
---@param text linedancer.Data what it is in
---@param pos? integer where it begins, negative from the end
---@return any ... its values, and the position behind it
function Format:unpack(text, pos) end

---Encode values; the reverse of unpack. Lengths of named fields are filled in from their bytes when left out. Raises an error object (range, limit, mismatch) for a value that does not fit.
---
---Raises range, limit, mismatch.
---@param ... any its values
---@return string bytes
function Format:pack(...) end

---Byte I (default 1) as a number, or nil when there is none.
---
---Raises stale.
---@param i? integer position, negative from the end
---@return integer? byte 0 to 255
function Bytes:byte(i) end

---The big-endian u32 that starts at I (default 1). Raises `range` when it does not fit.
---
---Raises range, stale.
---@param i? integer position, negative from the end
---@return integer number
function Bytes:u32be(i) end

---Bytes I to J as a Lua string, like string.sub.
---
---Raises stale.
---@param i? integer the first (1)
---@param j? integer the last (-1)
---@return string text
function Bytes:sub(i, j) end

---Are the bytes those of OTHER, a string, slice or buffer?
---
---Raises stale.
---@param other any what they are compared with
---@return boolean equal
function Bytes:eq(other) end

---Decode FORMAT at POS (default 1): values, then the position after them.
---
---Raises truncated, mismatch, range, varint, limit, stale.
---@param format linedancer.FormatLike the frame
---@param pos? integer where it begins
---@return any ... its values, and the position behind it
function Bytes:unpack(format, pos) end

---A blob with a copy of the bytes, valid for as long as it is referenced.
---
---Raises stale.
---@return linedancer.Blob blob
function Slice:keep() end

---An empty buffer of C memory that grows to at most MAX bytes.
---@param max? integer bytes (2 GB)
---@return linedancer.Buffer buffer
function ld.buffer(max) end

---Append bytes I to J (default all) of X: a string, slice, buffer or blob. Larger pieces are shared, not copied. Raises `limit` above the buffer's maximum, `busy` once it is sealed. Returns the buffer.
---
---Raises limit, busy, stale.
---@param x linedancer.Data|number what is appended; a number in decimal
---@param i? integer the first byte (1)
---@param j? integer the last byte (-1)
---@return linedancer.Buffer buffer
function Buffer:put(x, i, j) end

---Append values encoded by FORMAT. Raises as put() does, and for values that do not fit. Returns the buffer.
---
---Raises range, limit, mismatch, busy, stale.
---@param format linedancer.FormatLike the frame
---@param ... any its values
---@return linedancer.Buffer buffer
function Buffer:pack(format, ...) end

---The blob itself; a buffer is sealed by it.
---@return linedancer.Blob blob
function Buffer:keep() end

---Empty the buffer for new bytes, also one that is sealed. What was written, published or put elsewhere stays as it was; whoever was sent the buffer itself as a message finds it changed. To use one buffer again and again costs less than many. Returns the buffer.
---@return linedancer.Buffer buffer
function Buffer:clear() end

---A blob, immutable bytes in C memory, with the content of TEXT.
---
---Raises stale.
---@param text linedancer.Data its content
---@return linedancer.Blob blob
function ld.blob(text) end

---X (a string, slice, buffer or blob) as a string that is a good key for a table of keys that peers choose: they cannot make such keys collide. key:sub(5) is what X was.
---
---Raises stale.
---@param x linedancer.Data what it stands for
---@return string key good for the life of the process
function ld.key(x) end

---Run FN(...) in a task of this connection, which ends with it.
---
---Raises closed.
---@param fn fun(...: any) its body
---@param ... any for FN
---@return linedancer.Task task
function Conn:spawn(fn, ...) end

---Wait until all tasks of this connection have ended.
---
---It may wait.
---@async
function Conn:join() end

---Run FN(...) in a task of its own, which belongs to no connection. Returns the task.
---@param fn fun(...: any) its body
---@param ... any for FN
---@return linedancer.Task task
function ld.spawn(fn, ...) end

---The same, but begin again when FN returns or fails, at most 10 times in 60 seconds.
---@param fn fun(...: any) its body
---@param ... any for FN
---@return linedancer.Task task
function ld.permanent(fn, ...) end

---Call FN every SECONDS, the first time after as many. It may wait; what it raises is logged. Returns the task.
---@param seconds number above 0
---@param fn fun() what is called
---@return linedancer.Task task
function ld.every(seconds, fn) end

---Suspend the running coroutine for SECONDS.
---
---It may wait.
---@async
---@param seconds number how long
function ld.sleep(seconds) end

---Wait for the first of SOURCES: { [conn] = format, [other] = format, message = true, timeout = seconds }. Returns what it was: a connection and the values of its frame (nil at its end); or "message", from, message, topic; or "timeout". Messages win ties. The others keep what they have read so far.
---
---Raises the errors of what is read.
---
---It may wait.
---@async
---@param sources table connections with formats, message = true, timeout = seconds
---@return linedancer.Conn|"message"|"timeout" source
---@return any ... what goes with it
function ld.wait(sources) end

---End the task: it goes no further. A task may cancel itself: then it ends when it next waits.
function Task:cancel() end

---Wait until the task has ended.
---
---It may wait.
---@async
function Task:join() end

---The id of the connection or task whose code runs, or nil.
---@return string? id
function ld.self() end

---Send MESSAGE to TO, an id or the table of a connection or task; TOPIC (a string, may be nil) goes with it. True; or nil and "full" or "gone". Raises an error for a message that cannot be sent, and for what is no id.
---@param to linedancer.Receiver whom
---@param message any a plain value; a table is not copied within a worker
---@param topic? string goes with it
---@return true? ok
---@return string? why "full" or "gone"
function ld.send(to, message, topic) end

---Wait for a message, for at most SECONDS (nil: for as long as it takes): from, message, topic; nil at the time. While a coroutine receives, messages do not go to on_message.
---
---Raises range.
---
---It may wait.
---@async
---@param seconds? number at most
---@return string? from id of the sender; nil at the time, and for what nobody sent
---@return any message
---@return string? topic
function ld.receive(seconds) end

---Send MESSAGE to TO, an id or the table of a connection or task, and wait for what it replies, for at most TIMEOUT seconds (default 5). Returns that value; or nil and "timeout", "full" or "gone", the last also when the callee ends before it has replied. Raises `hook` where nothing may wait, and as send() does.
---
---It may wait.
---@async
---@param to linedancer.Receiver whom
---@param message any a plain value
---@param timeout? number seconds
---@return any value what was replied
---@return string? why "timeout", "full" or "gone"
function ld.call(to, message, timeout) end

---Answer the call that came from FROM with VALUE, from a hook or a coroutine. True, which to another worker means that it is on its way; or nil and "gone" when nobody waits for it any more, "full" when it may be tried again.
---@param from string as on_message or receive() got it
---@param value any a plain value
---@return true? ok
---@return string? why "gone" or "full"
function ld.reply(from, value) end

---Have the running connection or task get { down = id, reason = text } when what TO stands for, an id or the table of a connection or task, has ended; at once, with reason "gone", if it has already. For the end of a whole worker the reason is "worker died". Raises `limit` for more than 10,000 at a time.
---
---Raises limit.
---@param to linedancer.Receiver whom
function ld.watch(to) end

---Undo watch(). What has been queued already is still received.
---@param to linedancer.Receiver whom
function ld.unwatch(to) end

---Have the running connection or task be known as NAME (1 to 255 bytes) until it ends. With OPTS.take it gets the name whoever holds it; that one is told { taken = name, by = id }. True, and the id that held it before; or nil and "taken" and the holder's id, "timeout", or "full" when there are too many names. With several workers it waits, so it raises `hook` where nothing may wait. Raises `limit` for more than 1000 names.
---
---Raises limit.
---
---It may wait.
---@async
---@param name string 1 to 255 bytes
---@param opts? { take?: boolean } take = true: whoever holds it
---@return true? ok
---@return string? why the id that held it before; or "taken", "timeout" or "full"
---@return string? holder the id that holds it, if it is taken
function ld.register(name, opts) end

---Let go of NAME. Returns whether the running connection or task held it.
---@param name string 1 to 255 bytes
---@return boolean held
function ld.unregister(name) end

---The id that is known as NAME, or nil.
---@param name string 1 to 255 bytes
---@return string? id
function ld.whereis(name) end

---Have CONN, a connection or task of this worker, get what is published on topics that PATTERN matches, until it ends. Nothing happens when it has ended. Raises `limit` for more than 10,000 patterns, 1024 bytes or 64 levels.
---
---Raises limit.
---@param pattern string levels separated by /; + is any one level, # at the end any number of them
function Conn:subscribe(pattern) end

---Undo subscribe(); without PATTERN for all patterns of CONN. What has been queued already is still received.
---@param pattern? string as it was given to subscribe()
function Conn:unsubscribe(pattern) end

---Have CONN, a connection or task of this worker, get what is published on topics that PATTERN matches, until it ends. Nothing happens when it has ended. Raises `limit` for more than 10,000 patterns, 1024 bytes or 64 levels.
---
---Raises limit.
---@param pattern string levels separated by /; + is any one level, # at the end any number of them
function Task:subscribe(pattern) end

---Undo subscribe(); without PATTERN for all patterns of CONN. What has been queued already is still received.
---@param pattern? string as it was given to subscribe()
function Task:unsubscribe(pattern) end

---Send MESSAGE to all that subscribe to TOPIC, the publisher too if it does. Returns how many got it in this worker. Raises an error for a message that cannot be sent, and for what is no topic.
---
---Raises limit.
---@param topic string levels separated by /
---@param message any a plain value
---@return integer count connections and tasks of this worker that got it
function ld.publish(topic, message) end

---The channel called NAME: the same object for the same name. OPTS: bytes (4 MB) and items (10,000) that its log keeps at most, merge (0): seconds that blobs wait to be sent together; places: "any", or "marks": nobody begins but at a mark, and who finds none, or loses its place, waits for the next one. The options last given in the worker where the channel has its home hold; elsewhere they are for when it moves there.
---@param name string 1 to 240 bytes
---@param opts? linedancer.ChannelOptions what its log keeps
---@return linedancer.Channel channel
function ld.channel(name, opts) end

---Append DATA (a string, slice, buffer or blob) as one blob; with MARK, newcomers start there. Empty data with MARK sets one on what comes next. True; or nil and "full" when it has to go to another worker whose queue is full. Raises `limit` when the log could not hold it, or it has more than 8 MB.
---
---Raises limit.
---@param data linedancer.Data|number one blob, of at most 8 MB
---@param mark? boolean newcomers may begin here
---@return true? ok
---@return string? why "full"
function Channel:publish(data, mark) end

---What newcomers are sent first: all the values together, each a string, slice, buffer or blob; none for no preamble. Who follows already gets it only when it skips past this change, or has got nothing yet.
---
---Raises limit.
---@param ... linedancer.Data|number its parts
function Channel:preamble(...) end

---End what was published: followers get what they have not read yet and a message { closed = name }, and stay for who publishes next. The preamble and the marks are gone.
function Channel:close() end

---What the log of this worker has from its newest mark on, oldest first: an array of { a string, is it a mark }.
---@return table[] entries
function Channel:recent() end

---Numbers of the channel in this worker: items, bytes in its log; tail, head: numbers of its oldest and its next blob; followers, published; how often followers skipped, dropped blobs, were closed; lost: blobs that they passed over so.
---@return linedancer.ChannelStats stats
function Channel:stats() end

---Have CONN follow CHANNEL (or the one of that name) instead of what it followed, or, with add = true in OPTS, besides it: at most 16, whose blobs come whole and in no order among channels. OPTS: lag, the bytes that it may be behind (any number that the log holds); policy, when it is more or falls off the log: "skip" (to the newest mark, or the end; the default), "drop" (what is over its lag), "close" (the connection, with the reason "lag"). Following the same channel again only sets these. Nothing happens when CONN has ended. Returns the channel.
---
---Raises limit.
---@param channel linedancer.Channel|string it, or its name
---@param opts? linedancer.FollowOptions how
---@return linedancer.Channel channel
function Conn:follow(channel, opts) end

---Have CONN follow CHANNEL no more, or, without one, nothing. A blob that it was sent in part still goes out whole.
---@param channel? linedancer.Channel which one
function Conn:unfollow(channel) end

---Where CONN is in CHANNEL, or, without one, in that which it has followed longest: { channel = its name, behind = bytes that it has still to be sent, sent = bytes of it that were, skipped = times that it lost its place, lost = blobs that it missed so, waiting = true while it waits for a mark }. Nil when it does not follow it. What was sent may still be in conn.unsent.
---@param channel? linedancer.Channel which one
---@return linedancer.Place? place
function Conn:following(channel) end

---Log TEXT with FIELDS (a table, may be nil) at this level.
---@param text any the event
---@param fields? table what there is to know of it, by name
function log.debug(text, fields) end

---Log TEXT with FIELDS (a table, may be nil) at this level.
---@param text any the event
---@param fields? table what there is to know of it, by name
function log.info(text, fields) end

---Log TEXT with FIELDS (a table, may be nil) at this level.
---@param text any the event
---@param fields? table what there is to know of it, by name
function log.warn(text, fields) end

---Log TEXT with FIELDS (a table, may be nil) at this level.
---@param text any the event
---@param fields? table what there is to know of it, by name
function log.error(text, fields) end

---The digest of DATA, raw: crypto.hex() makes it readable.
---@param algorithm linedancer.Algorithm its name
---@param data linedancer.Data any bytes
---@return string digest raw bytes
function crypto.digest(algorithm, data) end

---The HMAC (RFC 2104) of DATA under KEY, bytes of any length, raw.
---@param algorithm linedancer.Algorithm its name
---@param key linedancer.Data of any length
---@param data linedancer.Data any bytes
---@return string mac raw bytes
function crypto.hmac(algorithm, key, data) end

---N random bytes, 0 to 1048576, that nobody can predict.
---@param n integer how many
---@return string bytes
function crypto.random(n) end

---32 bytes that only this gateway knows, others for each NAME, and all its workers the same ones for its life: to sign what is given to a client that may bring it back to another worker.
---@param name linedancer.Data what it is for
---@return string bytes 32 of them
function crypto.secret(name) end

---Are A and B, both bytes, the same? How long it takes tells nothing of what they hold, only their lengths: for secrets, which == would betray byte by byte.
---@param a linedancer.Data a secret
---@param b linedancer.Data what it is compared with
---@return boolean equal
function crypto.equal(a, b) end

---DATA in base64 (RFC 4648, padded, in one line).
---@param data linedancer.Data any bytes
---@return string text
function crypto.base64(data) end

---The bytes that the base64 TEXT stands for; nil when it is not exactly what base64() makes of them.
---@param text linedancer.Data base64
---@return string? data
function crypto.unbase64(text) end

---DATA in hexadecimal, two small digits each.
---@param data linedancer.Data any bytes
---@return string text
function crypto.hex(data) end

return ld
